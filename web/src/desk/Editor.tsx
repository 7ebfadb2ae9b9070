import type { AddressInput, PaymentMethod } from "../generated";
import { CATALOGUE } from "./catalogue";
import { outbox } from "./client";
import { type CommandName, type Inputs, type Order, PAYMENT, title } from "./commands";
import { useEntries } from "./hooks";
import { Amount, Progress, shortId, Status } from "./parts";

type Issue = <Name extends CommandName>(
  name: Name,
  input: Omit<Inputs[Name], "orderId" | "commandId">,
) => void;

/** An order, and all that its customer can do about it. What is possible is for the gateway to say. */
export function Editor({ order }: { order: Order }) {
  const issue: Issue = (name, input) => outbox.issue(name, order.id, input, order);
  const draft = order.status === "DRAFT";
  return (
    <section className="editor" aria-label={`Order ${shortId(order.id)}`}>
      <header>
        <h2>Order {shortId(order.id)}</h2>
        <Status status={order.status}>{order.statusDisplay}</Status>
        <span className="muted">v{order.version}</span>
      </header>
      <Items order={order} issue={issue} />
      {/* What is not possible stays where it is, so that nothing moves under a hand that is about to click. */}
      <div className="catalogue" role="group" aria-label="Add to the order">
        {CATALOGUE.map((product) => (
          <button
            key={product.sku}
            disabled={!draft}
            onClick={() => issue("addItem", { item: { ...product, quantity: 1 } })}
          >
            <span>+ {product.title}</span>
            <Amount amount={product.unitPrice} currency="USD" />
          </button>
        ))}
      </div>
      <Address order={order} issue={issue} />
      <Payment order={order} issue={issue} />
      <div className="actions">
        <button className="primary" disabled={!draft} onClick={() => issue("submitOrder", {})}>
          Submit order
        </button>
        <button
          className="danger"
          disabled={!["DRAFT", "SUBMITTED", "PAID"].includes(order.status)}
          onClick={() => issue("cancelOrder", { reason: "Cancelled at the desk" })}
        >
          Cancel order
        </button>
        {order.trackingNumber && <p className="muted">Tracking number {order.trackingNumber}</p>}
        {order.cancelReason && <p className="muted">{order.cancelReason}</p>}
      </div>
      <Activity orderId={order.id} />
    </section>
  );
}

function Items({ order, issue }: { order: Order; issue: Issue }) {
  const draft = order.status === "DRAFT";
  return (
    <table className="items">
      <caption className="hidden">Items</caption>
      <thead>
        <tr>
          <th scope="col">Item</th>
          <th scope="col">Quantity</th>
          <th scope="col">Price</th>
          <th scope="col">Sum</th>
          <td />
        </tr>
      </thead>
      <tbody>
        {order.items.map(({ sku, title, quantity, unitPrice, lineTotal }) => (
          <tr key={sku}>
            <th scope="row">
              {title} <span className="muted">{sku}</span>
            </th>
            <td>
              {draft ? (
                <input
                  // A field of its own for each value: what is shown changes with the order, not only with typing.
                  key={quantity}
                  type="number"
                  aria-label={`Quantity of ${title}`}
                  defaultValue={quantity}
                  onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
                  onBlur={({ target }) => {
                    const wanted = Number(target.value);
                    if (Number.isInteger(wanted) && wanted !== quantity) {
                      issue("changeItemQuantity", { sku, quantity: wanted });
                    }
                  }}
                />
              ) : (
                quantity
              )}
            </td>
            <td>
              <Amount {...unitPrice} />
            </td>
            <td>
              <Amount {...lineTotal} />
            </td>
            <td>
              {draft && (
                <button
                  className="quiet icon"
                  aria-label={`Remove ${title}`}
                  onClick={() => issue("removeItem", { sku })}
                >
                  ×
                </button>
              )}
            </td>
          </tr>
        ))}
        {order.items.length === 0 && (
          <tr>
            <td colSpan={5} className="muted">
              Nothing in it yet.
            </td>
          </tr>
        )}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row" colSpan={3}>
            Total
          </th>
          <td>
            <Amount {...order.total} />
          </td>
          <td />
        </tr>
      </tfoot>
    </table>
  );
}

const FIELDS = [
  ["name", "Name", "name"],
  ["line1", "Street and number", "address-line1"],
  ["postalCode", "Postal code", "postal-code"],
  ["city", "City", "address-level2"],
  ["country", "Country code", "country"],
] as const;

/** Whether it has still to be paid: until then it may go elsewhere, and be paid in another way. */
const isOpen = ({ status }: Order) => status === "DRAFT" || status === "SUBMITTED";

function Address({ order, issue }: { order: Order; issue: Issue }) {
  const address = order.shippingAddress;
  const open = isOpen(order);
  return (
    <details className="address">
      <summary>
        Ships to <span>{order.shippingSummary ?? "nowhere yet"}</span>
      </summary>
      <form
        key={JSON.stringify(address)}
        onSubmit={(event) => {
          event.preventDefault();
          const given = Object.fromEntries(new FormData(event.currentTarget)) as unknown as AddressInput;
          issue("setShippingAddress", { address: given });
          event.currentTarget.closest("details")!.open = false;
        }}
      >
        {FIELDS.map(([name, label, autoComplete]) => (
          <label key={name} className={name}>
            {label}
            <input
              name={name}
              required
              readOnly={!open}
              autoComplete={autoComplete}
              defaultValue={address?.[name] ?? (name === "name" ? order.customerName : "")}
            />
          </label>
        ))}
        {open && <button>Set address</button>}
      </form>
    </details>
  );
}

function Payment({ order, issue }: { order: Order; issue: Issue }) {
  return (
    <label className="payment">
      Paid by
      <select
        value={order.paymentMethod ?? ""}
        disabled={!isOpen(order)}
        onChange={({ target }) => issue("setPaymentMethod", { method: target.value as PaymentMethod })}
      >
        <option value="" disabled>
          not chosen yet
        </option>
        {Object.entries(PAYMENT).map(([method, word]) => (
          <option key={method} value={method}>
            {word}
          </option>
        ))}
      </select>
    </label>
  );
}

/** What was done here to the order, newest first, and how far each command has come. */
function Activity({ orderId }: { orderId: string }) {
  const entries = useEntries().filter((entry) => entry.orderId === orderId);
  return (
    <section className="activity" aria-label="Activity">
      <h3>Activity</h3>
      <ol>
        {entries
          .slice(-6)
          .reverse()
          .map((entry) => (
            <li key={entry.id}>
              <span>{title(entry)}</span>
              <Progress entry={entry} />
            </li>
          ))}
      </ol>
      {entries.length === 0 && (
        <p className="muted">Commands that you give appear here, with their timing.</p>
      )}
    </section>
  );
}
