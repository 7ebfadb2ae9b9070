/** Commands on their way: shown at once, sent one after another for each order, kept until nobody waits for them. */
import {
  type ApolloClient,
  CombinedGraphQLErrors,
  ServerError,
  type TypedDocumentNode,
} from "@apollo/client";
import {
  AddItemDocument,
  CancelOrderDocument,
  ChangeItemQuantityDocument,
  CreateOrderDocument,
  DeliverOrderDocument,
  type OutcomeFragment,
  RecordPaymentDocument,
  RemoveItemDocument,
  SetPaymentMethodDocument,
  SetShippingAddressDocument,
  ShipOrderDocument,
  SubmitOrderDocument,
} from "../generated";
import { type Command, type CommandName, type Inputs, type Order, predict, title } from "./commands";

/**
 * Queued: not sent, or sent without an answer. Sending: on its way. Both are shown as if done.
 * Confirmed: the write model has it. Projected: the read model shows it. Rejected and conflict: not done, rolled back.
 */
export type Stage = "queued" | "sending" | "confirmed" | "projected" | "rejected" | "conflict";

export type Entry = Command & {
  stage: Stage;
  /** Milliseconds from the command to its answer, and from there to the projection. */
  answeredMs?: number;
  projectedMs?: number;
  version?: number;
  replayed?: boolean;
  reason?: string;
  code?: string;
  /** In a conflict, the order as it is. */
  current?: Order;
};

type Sent = TypedDocumentNode<{ outcome: OutcomeFragment }, { input: Inputs[CommandName] }>;
const DOCUMENTS = {
  createOrder: CreateOrderDocument,
  addItem: AddItemDocument,
  changeItemQuantity: ChangeItemQuantityDocument,
  removeItem: RemoveItemDocument,
  setShippingAddress: SetShippingAddressDocument,
  setPaymentMethod: SetPaymentMethodDocument,
  submitOrder: SubmitOrderDocument,
  cancelOrder: CancelOrderDocument,
  recordPayment: RecordPaymentDocument,
  shipOrder: ShipOrderDocument,
  deliverOrder: DeliverOrderDocument,
} as Record<CommandName, unknown> as Record<CommandName, Sent>;

const KEY = "desk.command:";
const DONE_KEPT = 50;
const RETRY_MS = 1500;

export const isPending = ({ stage }: Entry) => stage === "queued" || stage === "sending";
export const isFailed = ({ stage }: Entry) => stage === "rejected" || stage === "conflict";
const isDone = (entry: Entry) => !isPending(entry) && !isFailed(entry);

/** The orders as they will be once all that is pending is carried out. */
export function withPending(orders: readonly Order[], entries: readonly Entry[]): Order[] {
  const shown = new Map(orders.map((order) => [order.id, order]));
  for (const entry of entries.filter(isPending)) {
    const predicted = predict(shown.get(entry.orderId) ?? null, entry);
    if (predicted) shown.set(entry.orderId, predicted);
  }
  return [...shown.values()];
}

export class Outbox {
  entries: readonly Entry[] = restored();
  private readonly listeners = new Set<() => void>();
  private readonly busy = new Set<string>();
  private readonly read = new Map<string, { version: number; at: number }>();
  private readonly client: ApolloClient;
  private readonly onAnswer: (order: Order) => void;

  /** `onAnswer` is told of each order that a command answered with, before the command counts as answered. */
  constructor(client: ApolloClient, onAnswer: (order: Order) => void) {
    this.client = client;
    this.onAnswer = onAnswer;
  }

  subscribe = (listener: () => void) => {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  };

  /** Do this to the order that is shown as `seen`. It shows at once, and is sent as soon as it can be. */
  issue<Name extends CommandName>(
    name: Name,
    orderId: string,
    input: Omit<Inputs[Name], "orderId" | "commandId">,
    seen: Order | null,
  ): void {
    const id = crypto.randomUUID();
    const target = name === "createOrder" ? {} : { orderId };
    const command = {
      id,
      orderId,
      name,
      seen,
      issuedAt: this.now(),
      input: { ...input, ...target, commandId: id },
    };
    this.put({ ...command, stage: "queued" } as unknown as Entry);
    void this.send(orderId);
  }

  /** Send what waits, for instance because there is a connection again. */
  flush = () => {
    for (const { orderId } of this.entries.filter(isPending)) void this.send(orderId);
  };

  /** The read model shows the order at this version. */
  observed({ id, version }: Order): void {
    if ((this.read.get(id)?.version ?? 0) >= version) return;
    this.read.set(id, { version, at: Date.now() });
    for (const entry of this.entries) if (entry.orderId === id) this.settle(entry);
  }

  dismiss(id: string): void {
    localStorage.removeItem(KEY + id);
    this.change(this.entries.filter((entry) => entry.id !== id));
  }

  /** Decide again, on the order as it is shown now. */
  again({ id, name, orderId, input }: Entry, seen: Order | null): void {
    this.dismiss(id);
    const { expectedVersion: _, ...same } = input as Inputs["addItem"];
    this.issue(name, orderId, same as never, seen);
  }

  /** This moment, later than that of any command before: it tells their order, also after a reload. */
  private now(): number {
    return Math.max(Date.now(), ...this.entries.map(({ issuedAt }) => issuedAt + 1));
  }

  private async send(orderId: string): Promise<void> {
    if (this.busy.has(orderId)) return;
    this.busy.add(orderId);
    try {
      for (let next; (next = this.entries.find((e) => e.orderId === orderId && isPending(e)));) {
        if (!(await this.deliver(next))) break;
      }
    } finally {
      this.busy.delete(orderId);
    }
  }

  /** Whether there was an answer. Without one, the very same command is sent again later. */
  private async deliver(queued: Entry): Promise<boolean> {
    const entry = this.put({ ...queued, input: this.withVersion(queued), stage: "sending" } as Entry);
    try {
      const { data } = await this.client.mutate({
        mutation: DOCUMENTS[entry.name],
        variables: { input: entry.input },
        // Through the cache an answer has the newest version that is known, which may be somebody else's, and the next
        // command would expect what nobody has seen when it was given.
        fetchPolicy: "no-cache",
      });
      if (data) this.answered(entry, data.outcome);
      return true;
    } catch (error) {
      if (isFinal(error)) {
        this.failed({ ...entry, stage: "rejected", reason: (error as Error).message, code: "ERROR" });
        return true;
      }
      this.put({ ...entry, stage: "queued" });
      setTimeout(this.flush, RETRY_MS);
      return false;
    }
  }

  /**
   * The input as it is sent, each time the same. Adding goes well with what others do; whoever decides on what they
   * see, expects the version that they saw, or the one that their own commands before have made of it.
   */
  private withVersion({ id, name, orderId, input, seen }: Entry): Entry["input"] {
    if (name === "createOrder" || name === "addItem" || !seen || "expectedVersion" in input) return input;
    const own = this.entries.filter((e) => e.orderId === orderId && e.id !== id).map((e) => e.version ?? 0);
    return { ...input, expectedVersion: Math.max(seen.version, ...own) };
  }

  private answered(entry: Entry, outcome: OutcomeFragment): void {
    const answeredMs = Date.now() - entry.issuedAt;
    if (outcome.__typename === "OrderCommandSucceeded") {
      const { order, replayed } = outcome;
      this.onAnswer(order);
      this.settle(this.put({ ...entry, stage: "confirmed", answeredMs, replayed, version: order.version }));
      return;
    }
    const { message: reason, code } = outcome;
    const conflict = outcome.__typename === "VersionConflict";
    if (conflict) this.onAnswer(outcome.current);
    this.failed({
      ...entry,
      stage: conflict ? "conflict" : "rejected",
      answeredMs,
      reason,
      code,
      current: conflict ? outcome.current : undefined,
    });
  }

  /** Commands after a failed one were decided on what it would have done, so they are not sent. */
  private failed(entry: Entry): void {
    this.put(entry);
    for (const later of this.entries.filter((e) => e.orderId === entry.orderId && isPending(e))) {
      const reason = `Not sent, because “${title(entry)}” before it failed.`;
      this.put({ ...later, stage: "rejected", code: "NOT_SENT", reason });
    }
  }

  private settle(entry: Entry): void {
    const read = this.read.get(entry.orderId);
    if (entry.stage !== "confirmed" || !read || read.version < entry.version!) return;
    const projectedMs = Math.max(0, read.at - entry.issuedAt - entry.answeredMs!);
    this.put({ ...entry, stage: "projected", projectedMs });
  }

  private put(entry: Entry): Entry {
    // What failed is kept too, until somebody has seen why and dismissed it.
    if (isDone(entry)) localStorage.removeItem(KEY + entry.id);
    else localStorage.setItem(KEY + entry.id, JSON.stringify(entry));
    const known = this.entries.some(({ id }) => id === entry.id);
    const entries = known
      ? this.entries.map((e) => (e.id === entry.id ? entry : e))
      : [...this.entries, entry];
    const shown = new Set(entries.filter(isDone).slice(-DONE_KEPT));
    this.change(entries.filter((e) => !isDone(e) || shown.has(e)));
    return entry;
  }

  private change(entries: readonly Entry[]): void {
    this.entries = entries;
    for (const listener of this.listeners) listener();
  }
}

/** An answer that would be the same another time. A lost connection or a busy gateway is none. */
function isFinal(error: unknown): boolean {
  if (CombinedGraphQLErrors.is(error)) {
    return !error.errors.some(({ extensions }) => ["BUSY", "UNAVAILABLE"].includes(String(extensions?.code)));
  }
  return ServerError.is(error) && error.statusCode < 500 && error.statusCode !== 429;
}

function restored(): Entry[] {
  return Object.keys(localStorage)
    .filter((key) => key.startsWith(KEY))
    .map((key) => JSON.parse(localStorage.getItem(key)!) as Entry)
    .map((entry) => (isPending(entry) ? { ...entry, stage: "queued" as const } : entry))
    .sort((a, b) => a.issuedAt - b.issuedAt);
}
