import { CATALOGUE } from "./catalogue";
import { outbox } from "./client";
import type { Order } from "./commands";
import { useOpenOrders, useSales } from "./hooks";
import { Amount, OrderProgress, shortId } from "./parts";

type Lane = { title: string; status: Order["status"]; action: string; act(order: Order): void };

const LANES: Lane[] = [
  {
    title: "To be paid",
    status: "SUBMITTED",
    action: "Record payment",
    act: (order) =>
      outbox.issue(
        "recordPayment",
        order.id,
        { amount: order.total.amount, reference: `DESK-${shortId(order.id)}` },
        order,
      ),
  },
  {
    title: "To be shipped",
    status: "PAID",
    action: "Ship",
    act: (order) =>
      outbox.issue(
        "shipOrder",
        order.id,
        { carrier: "Post", trackingNumber: `TRK-${shortId(order.id)}` },
        order,
      ),
  },
  {
    title: "On the way",
    status: "SHIPPED",
    action: "Deliver",
    act: (order) => outbox.issue("deliverOrder", order.id, {}, order),
  },
];

/** Everybody's open orders by what is to be done next, and what was sold. */
export function Staff() {
  const orders = useOpenOrders();
  return (
    <main className="staff">
      {LANES.map(({ title, status, action, act }) => {
        const waiting = orders.filter((order) => order.status === status);
        return (
          <section className="lane" key={status} aria-label={title}>
            <h2>
              {title} <span className="count">{waiting.length}</span>
            </h2>
            <ul className="rows">
              {waiting.map((order) => (
                <li className="row" key={order.id}>
                  <span className="name">{shortId(order.id)}</span>
                  <Amount {...order.total} />
                  <span className="muted">
                    {order.customerName} · v{order.version}
                  </span>
                  <button aria-label={`${action} ${shortId(order.id)}`} onClick={() => act(order)}>
                    {action}
                  </button>
                  <OrderProgress orderId={order.id} />
                </li>
              ))}
            </ul>
            {waiting.length === 0 && <p className="empty">Nothing to do.</p>}
          </section>
        );
      })}
      <section className="sales" aria-label="Product sales">
        <h2>Product sales</h2>
        <table>
          <thead>
            <tr>
              <th scope="col">Product</th>
              <th scope="col">Units</th>
              <th scope="col">Orders</th>
              <th scope="col">Revenue</th>
            </tr>
          </thead>
          <tbody>
            {CATALOGUE.map(({ sku, title }) => (
              <Sales key={sku} sku={sku} title={title} />
            ))}
          </tbody>
        </table>
      </section>
    </main>
  );
}

function Sales({ sku, title }: { sku: string; title: string }) {
  const sales = useSales(sku);
  return (
    <tr>
      <th scope="row">{title}</th>
      <td>{sales?.unitsSold ?? 0}</td>
      <td>{sales?.orderCount ?? 0}</td>
      <td>
        {sales?.revenue.length ? sales.revenue.map((sum) => <Amount key={sum.currency} {...sum} />) : "–"}
      </td>
    </tr>
  );
}
