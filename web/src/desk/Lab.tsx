/** The lab: what makes life hard for this page, to watch that it stays right. Loaded only where the gateway has one. */
import "./lab.css";
import { useCallback, useEffect, useState } from "react";
import { LAB_URL } from "../endpoint";

type Switches = { projectorDelayS: number; duplicates: number; dropAfterS: number; conflicts: number };
type Told = Switches & { happened: Record<"delayed" | "duplicated" | "dropped" | "conflicted", number> };

const LOOK_MS = 1000;
const CHOICES: { of: keyof Switches; label: string; choices: [number, string][] }[] = [
  {
    of: "projectorDelayS",
    label: "Slow the projector",
    choices: [
      [0, "off"],
      [1, "1 second a page"],
      [3, "3 seconds a page"],
      [10, "10 seconds a page"],
    ],
  },
  {
    of: "duplicates",
    label: "Deliver again",
    choices: [
      [0, "off"],
      [0.3, "after some frames"],
      [1, "after every frame"],
    ],
  },
  {
    of: "dropAfterS",
    label: "Drop sockets",
    choices: [
      [0, "off"],
      [10, "after 10 seconds or so"],
      [2, "after 2 seconds or so"],
    ],
  },
];

/** What the lab says, having changed it if `changes` are given; null where there is no lab or no answer. */
async function ask(changes?: Partial<Switches> & { drop?: true }): Promise<Told | null> {
  const headers = { "content-type": "application/json" };
  const init = changes && { method: "POST", headers, body: JSON.stringify(changes) };
  const answer = await fetch(LAB_URL, init).catch(() => null);
  return answer?.ok ? answer.json() : null;
}

export default function Lab() {
  const [told, setTold] = useState<Told | null>(null);
  const [open, setOpen] = useState(false);
  const turn = useCallback((changes?: Parameters<typeof ask>[0]) => void ask(changes).then(setTold), []);
  useEffect(turn, [turn]);
  useEffect(() => {
    if (!open) return;
    const looking = setInterval(turn, LOOK_MS);
    return () => clearInterval(looking);
  }, [open, turn]);
  if (!told && !open) return null;
  return (
    <details className="lab" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Lab</summary>
      <fieldset disabled={!told}>
        <legend className="hidden">What the gateway does to its clients</legend>
        {CHOICES.map(({ of, label, choices }) => (
          <label key={of}>
            {label}
            <select value={told?.[of] ?? 0} onChange={({ target }) => turn({ [of]: Number(target.value) })}>
              {choices.map(([value, word]) => (
                <option key={value} value={value}>
                  {word}
                </option>
              ))}
            </select>
          </label>
        ))}
        <label>
          Force conflicts
          <input
            type="number"
            min={0}
            max={99}
            value={told?.conflicts ?? 0}
            onChange={({ target }) => target.validity.valid && turn({ conflicts: Number(target.value) })}
          />
        </label>
        <button onClick={() => turn({ drop: true })}>Drop all sockets now</button>
      </fieldset>
      <dl aria-label="So far">
        {Object.entries(told?.happened ?? {}).map(([what, times]) => (
          <div key={what}>
            <dt>{what}</dt>
            <dd>{times}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
