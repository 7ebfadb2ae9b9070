/** What holds for every client: each test runs the recipe against a gateway, through a proxy that cuts. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Gateway, serve, until } from "../browser/served";
import { type Command, type Frame, type Order, type Outcome, createOrder, submitOrder } from "./orders";
import { proxy } from "./proxy";

type Connected = { run(command: Command): Promise<Outcome>; close(): Promise<unknown> | void };
type Connect = (
  url: string,
  customerId: string,
  on: { shown(orders: Order[]): void; frame(frame: Frame): void },
) => Connected;

const LAMP = { sku: "LAMP-1", title: "Desk lamp", quantity: 1, unitPrice: "19.90" };

export function behaves(name: string, connect: Connect): void {
  let gateway: Gateway;
  let between: Awaited<ReturnType<typeof proxy>>;
  let client: Connected;
  let customerId: string;
  /** All that was shown, and all frames that came, in their order. */
  let shown: Order[][];
  let frames: Frame[];

  const now = () => shown.at(-1) ?? [];
  const statuses = () => now().map(({ status }) => status);

  /** Past the proxy, as somebody else would. */
  async function directly(command: Command): Promise<Outcome> {
    const answer = await fetch(`${gateway.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query: command.query, variables: { input: command.input } }),
    });
    return (await answer.json()).data.outcome;
  }

  async function created(): Promise<Order> {
    const { order } = await client.run(createOrder(customerId, [LAMP]));
    await until(async () => frames.some(({ orders }) => orders.some(({ id }) => id === order!.id)));
    return order!;
  }

  beforeAll(async () => {
    gateway = await serve();
  });
  afterAll(() => gateway?.stop());

  beforeEach(async () => {
    between = await proxy(gateway.url);
    customerId = `customer-${crypto.randomUUID()}`;
    shown = [];
    frames = [];
    client = connect(between.url, customerId, {
      shown: (orders) => shown.push(orders),
      frame: (frame) => frames.push(frame),
    });
    await until(async () => frames.length);
  });

  afterEach(async () => {
    await client.close();
    await between.close();
    expect(frames.map(({ kind }) => kind)).toEqual(["SNAPSHOT", ...frames.slice(1).map(() => "CHANGES")]);
    for (const list of shown) expect(new Set(list.map(({ id }) => id)).size).toBe(list.length);
    const versions: Record<string, number> = {};
    for (const { id, version } of frames.flatMap(({ orders }) => orders)) {
      expect(version).toBeGreaterThan(versions[id] ?? 0);
      versions[id] = version;
    }
  });

  describe(name, () => {
    test("an order is shown before its answer, and is there once after answer and frame", async () => {
      const command = createOrder(customerId, [LAMP]);
      const answer = client.run(command);
      await until(async () => now().length);
      expect(now()).toMatchObject([{ id: command.id, version: 0, status: "DRAFT", itemCount: 1 }]);
      const outcome = await answer;
      expect(outcome).toMatchObject({ __typename: "OrderCommandSucceeded", replayed: false });
      await until(async () => frames.length > 1);
      expect(frames[1]!.orders).toMatchObject([{ id: command.id, version: 1 }]);
      await until(async () => now()[0]?.version === 1);
      expect(now()).toMatchObject([{ id: command.id, version: 1, status: "DRAFT" }]);
    });

    test("what somebody else does is shown", async () => {
      const theirs = createOrder(customerId, [LAMP]);
      await directly(theirs);
      await until(async () => now().length);
      expect(now()).toMatchObject([{ id: theirs.id, version: 1 }]);
    });

    test("a refused order goes again, and a refused change goes back", async () => {
      const answer = client.run(createOrder(customerId, [{ ...LAMP, quantity: 0 }]));
      await until(async () => now().length);
      expect(await answer).toMatchObject({ __typename: "CommandRejected" });
      await until(async () => !now().length);

      const submission = client.run(submitOrder(await created()));
      await until(async () => statuses()[0] === "SUBMITTED");
      expect(await submission).toMatchObject({ __typename: "CommandRejected" });
      await until(async () => statuses()[0] === "DRAFT");
      expect(now()).toMatchObject([{ version: 1, itemCount: 1 }]);

      const late = client.run(submitOrder({ ...now()[0]!, version: 7 }));
      await until(async () => statuses()[0] === "SUBMITTED");
      expect(await late).toMatchObject({ __typename: "VersionConflict", current: { version: 1 } });
      await until(async () => statuses()[0] === "DRAFT");
    });

    test("after a cut the list goes on behind its cursor", async () => {
      const first = await created();
      expect(between.down()).toBeGreaterThan(0);
      const theirs = createOrder(customerId, [LAMP]);
      await directly(theirs);
      const before = frames.length;
      between.up();
      await until(async () => frames.length > before && now().length === 2);
      expect(frames.slice(before).flatMap(({ orders }) => orders)).toMatchObject([{ id: theirs.id }]);
      expect(new Set(now().map(({ id }) => id))).toEqual(new Set([first.id, theirs.id]));
    });

    test("a command whose answer was lost is sent again, and has one effect", async () => {
      between.mute();
      const command = createOrder(customerId, [LAMP]);
      const answer = client.run(command);
      await until(async () => inReadModel(command.id));
      expect(now()).toMatchObject([{ id: command.id, version: 0 }]);
      between.down();
      between.up();
      expect(await answer).toMatchObject({ replayed: true, order: { id: command.id, version: 1 } });
      await until(async () => frames.length > 1 && now()[0]?.version === 1);
      expect(now()).toHaveLength(1);
    });
  });

  async function inReadModel(id: string): Promise<boolean> {
    const answer = await fetch(`${gateway.url}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query: "query ($id: ID!) { order(id: $id) { id } }", variables: { id } }),
    });
    return (await answer.json()).data.order !== null;
  }
}
