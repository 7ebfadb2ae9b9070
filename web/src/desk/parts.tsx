/** The small parts that several views show. */
import type { ReactNode } from "react";
import { client, outbox } from "./client";
import { changes, type Order, title } from "./commands";
import { OrderFieldsFragmentDoc, type OrderStatus } from "../generated";
import { useConnection, useEntries } from "./hooks";
import { type Entry, isFailed, isPending, type Stage } from "./outbox";

export function Amount({ amount, currency }: { amount: string; currency: string }) {
  const format = new Intl.NumberFormat("en", { style: "currency", currency });
  return <span className="amount">{format.format(amount as `${number}`)}</span>;
}

export const shortId = (id: string) => id.slice(id.lastIndexOf(":") + 1).slice(0, 8);

export function Status({ status, children }: { status: OrderStatus; children: ReactNode }) {
  return <span className={`status ${status.toLowerCase()}`}>{children}</span>;
}

const WORDS: Record<Stage, string> = {
  queued: "Queued",
  sending: "Pending",
  confirmed: "Confirmed",
  projected: "Projected",
  rejected: "Refused",
  conflict: "Conflict",
};

/** How far a command has come, with the milliseconds to its answer and from there to the projection. */
export function Progress({ entry }: { entry: Entry | undefined }) {
  if (!entry) return <span className="progress" />;
  const { stage, answeredMs, projectedMs } = entry;
  const times = [answeredMs, projectedMs].filter((ms) => ms !== undefined).map((ms) => `${ms} ms`);
  return (
    <span
      className={`progress ${stage}`}
      title="Time to the command's answer, and from there to the projection"
    >
      <i aria-hidden="true" />
      {WORDS[stage]}
      {times.length > 0 && !isFailed(entry) && <small>{times.join(" + ")}</small>}
    </span>
  );
}

/** The latest command on the order. */
export function OrderProgress({ orderId }: { orderId: string }) {
  return <Progress entry={useEntries().findLast((entry) => entry.orderId === orderId)} />;
}

export function Connection() {
  const state = useConnection();
  const waiting = useEntries().filter(isPending).length;
  const words = { live: "Live", connecting: "Reconnecting", offline: "Offline" }[state];
  return (
    <output className={`connection ${state}`}>
      <i aria-hidden="true" />
      {words}
      {state !== "live" && waiting > 0 && <small>{waiting} queued</small>}
    </output>
  );
}

/** Commands that were not carried out, with the reason; in a conflict, with what has changed. */
export function Failures() {
  const failed = useEntries().filter(isFailed);
  return (
    <section className="failures" aria-label="Commands that failed" aria-live="polite">
      {failed.map((entry) => (
        <Failure key={entry.id} entry={entry} />
      ))}
    </section>
  );
}

function Failure({ entry }: { entry: Entry }) {
  const { id, stage, orderId, reason, code, seen, current } = entry;
  const again = () => {
    const fragment = { fragment: OrderFieldsFragmentDoc, fragmentName: "OrderFields" };
    outbox.again(entry, client.readFragment<Order>({ id: `Order:${orderId}`, ...fragment }));
  };
  return (
    <article className={`failure ${stage}`}>
      <h3>
        {title(entry)} <span>· order {shortId(orderId)}</span>
      </h3>
      <p>
        {reason} <code>{code}</code>
      </p>
      {seen && current && (
        <ul aria-label="What changed">
          {changes(seen, current).map((change) => (
            <li key={change}>{change}</li>
          ))}
        </ul>
      )}
      <div className="actions">
        {(stage === "conflict" || code === "NOT_SENT") && <button onClick={again}>Do it anyway</button>}
        <button className="quiet" onClick={() => outbox.dismiss(id)}>
          {stage === "conflict" ? "Leave it" : "Dismiss"}
        </button>
      </div>
    </article>
  );
}
