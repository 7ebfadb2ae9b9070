import "./desk.css";
import { ApolloProvider } from "@apollo/client/react";
import { lazy, Suspense, useSyncExternalStore } from "react";
import { createRoot } from "react-dom/client";
import { client } from "./client";
import { Customer } from "./Customer";
import { Connection, Failures } from "./parts";
import { Staff } from "./Staff";

const FIRST_CUSTOMER = "alice";

/** The gateway says in the page whether it has a lab. Who develops the desk itself is served a page without that. */
const HAS_LAB = import.meta.env.DEV || document.querySelector("meta[name=lab]") !== null;
const Lab = lazy(() => import("./Lab"));

function Desk() {
  const [view, customerId = FIRST_CUSTOMER, openUuid] = useHash();
  const staff = view === "staff";
  return (
    <>
      <header className="bar">
        <h1>Order desk</h1>
        <nav aria-label="Views">
          <a href={`#/customers/${FIRST_CUSTOMER}`} aria-current={staff ? undefined : "page"}>
            Customer
          </a>
          <a href="#/staff" aria-current={staff ? "page" : undefined}>
            Staff
          </a>
          <a href="./">Playground</a>
        </nav>
        <Connection />
      </header>
      {staff ? <Staff /> : <Customer key={customerId} customerId={customerId} openUuid={openUuid} />}
      <Failures />
      {HAS_LAB && (
        <Suspense>
          <Lab />
        </Suspense>
      )}
    </>
  );
}

/** The parts of an address such as #/customers/alice/<uuid>. */
function useHash(): string[] {
  const hash = useSyncExternalStore(
    (listener) => {
      addEventListener("hashchange", listener);
      return () => removeEventListener("hashchange", listener);
    },
    () => location.hash,
  );
  return hash.slice(2).split("/").filter(Boolean).map(decodeURIComponent);
}

createRoot(document.getElementById("root")!).render(
  <ApolloProvider client={client}>
    <Desk />
  </ApolloProvider>,
);
