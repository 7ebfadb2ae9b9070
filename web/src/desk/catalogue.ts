import type { OrderItemInput } from "../generated";

/** What the desk sells. A real shop would ask a catalogue; this gateway's domain takes any product. */
export const CATALOGUE: Omit<OrderItemInput, "quantity">[] = [
  { sku: "LAMP-1", title: "Desk lamp", unitPrice: "19.90" },
  { sku: "BOOK-7", title: "Notebook", unitPrice: "4.50" },
  { sku: "KETTLE-2", title: "Copper kettle", unitPrice: "64.00" },
  { sku: "CHAIR-4", title: "Oak chair", unitPrice: "189.00" },
  { sku: "THROW-3", title: "Wool blanket", unitPrice: "79.00" },
  { sku: "CLOCK-5", title: "Wall clock", unitPrice: "34.50" },
];
