import { outbox } from "./client";
import { STATUS } from "./commands";
import { Editor } from "./Editor";
import { useCustomerOrders, useCustomerSummary } from "./hooks";
import { Amount, OrderProgress, shortId, Status } from "./parts";

/** A customer's orders and sums, and the order that is open. */
export function Customer({ customerId, openUuid }: { customerId: string; openUuid: string | undefined }) {
  const { orders, loading, more } = useCustomerOrders(customerId);
  const open = orders.find(({ id }) => id === `order:${customerId}:${openUuid}`);
  return (
    <main className="customer">
      <section className="list" aria-label="Orders">
        <header>
          <Who customerId={customerId} />
          <button className="primary" onClick={() => begin(customerId)}>
            New order
          </button>
        </header>
        <Summary customerId={customerId} />
        <ul className="rows">
          {orders.map((order) => (
            <li key={order.id}>
              <a
                className="row"
                href={`#/customers/${customerId}/${uuidOf(order.id)}`}
                aria-current={order === open || undefined}
              >
                <span className="name">
                  {order.items.map(({ title }) => title).join(", ") || "Empty order"}
                </span>
                <Amount {...order.total} />
                <span className="muted">
                  <Status status={order.status}>{order.statusDisplay}</Status> {shortId(order.id)} · v
                  {order.version}
                </span>
                <OrderProgress orderId={order.id} />
              </a>
            </li>
          ))}
        </ul>
        {orders.length === 0 && !loading && <p className="empty">No orders yet. Begin with a new one.</p>}
        {more && (
          <button className="quiet" onClick={more}>
            Show more
          </button>
        )}
      </section>
      {open ? (
        <Editor key={open.id} order={open} />
      ) : (
        !loading && (
          <section className="editor empty">
            <p>Choose an order, or begin a new one.</p>
          </section>
        )
      )}
    </main>
  );
}

const uuidOf = (id: string) => id.slice(id.lastIndexOf(":") + 1);

/** The client chooses the order's UUID, so that the order can be opened and worked on before the gateway knows it. */
function begin(customerId: string): void {
  const orderUuid = crypto.randomUUID();
  const name = customerId.charAt(0).toUpperCase() + customerId.slice(1);
  outbox.issue(
    "createOrder",
    `order:${customerId}:${orderUuid}`,
    { customerId, orderUuid, customer: { name, email: `${customerId.replaceAll("@", ".")}@example.com` } },
    null,
  );
  location.hash = `#/customers/${customerId}/${orderUuid}`;
}

function Who({ customerId }: { customerId: string }) {
  return (
    <form
      className="who"
      onSubmit={(event) => {
        event.preventDefault();
        const id = String(new FormData(event.currentTarget).get("customer")).trim();
        if (id) location.hash = `#/customers/${id}`;
      }}
    >
      <label>
        Customer
        <input
          key={customerId}
          name="customer"
          defaultValue={customerId}
          pattern="[A-Za-z0-9._@\-]{1,64}"
          title="Letters, digits or any of . _ @ -"
          required
          autoComplete="off"
          spellCheck={false}
        />
      </label>
    </form>
  );
}

function Summary({ customerId }: { customerId: string }) {
  const summary = useCustomerSummary(customerId);
  return (
    <dl className="summary" aria-label="Summary">
      <div>
        <dt>Orders</dt>
        <dd>{summary?.totalOrders ?? 0}</dd>
      </div>
      <div>
        <dt>Spent</dt>
        <dd>
          {summary?.totalSpent.length
            ? summary.totalSpent.map((sum) => <Amount key={sum.currency} {...sum} />)
            : "–"}
        </dd>
      </div>
      <div>
        <dt>By status</dt>
        <dd className="small">
          {summary?.ordersByStatus
            .map(({ status, count }) => `${count} ${STATUS[status].toLowerCase()}`)
            .join(", ") || "–"}
        </dd>
      </div>
    </dl>
  );
}
