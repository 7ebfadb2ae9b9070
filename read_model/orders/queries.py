"""What may be asked about orders: each question is a function of the store."""

from collections.abc import Mapping
from dataclasses import dataclass

from read_model.orders.views import (
    CUSTOMER_VIEWS,
    PRODUCT_VIEWS,
    CustomerOrderSummary,
    OrderEvent,
    OrderStatus,
    OrderView,
    ProductSales,
    customer_of,
    sales_id,
    summary_id,
)
from read_model.paging import Rows, Window, rows
from store import Condition, Contains, Eq, In, Order, Query, Range, Store


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Which orders: all conditions hold. No statuses match nothing; `created_from` <= created < `created_to`."""

    status: tuple[OrderStatus, ...] | None = None
    created_from: str | None = None
    created_to: str | None = None
    sku: str | None = None

    def conditions(self) -> tuple[Condition, ...]:
        """The filter as conditions of a query."""
        conditions: list[Condition] = [Range("createdAt", self.created_from, self.created_to)]
        if self.status is not None:
            conditions.append(In("status", tuple(status.value for status in self.status)))
        if self.sku is not None:
            conditions.append(Contains("productIds", self.sku))
        return tuple(conditions)

    def matches(self, order: OrderView) -> bool:
        """Whether an order passes; the same meaning as `conditions`."""
        return (
            (self.status is None or order.status in self.status)
            and (self.created_from is None or order.created_at >= self.created_from)
            and (self.created_to is None or order.created_at < self.created_to)
            and (self.sku is None or self.sku in order.product_ids)
        )


ALL_ORDERS = OrderFilter()

SORT_PATHS: Mapping[str, str] = {"CREATED_AT": "createdAt", "UPDATED_AT": "updatedAt", "TOTAL": "totalMinor"}


@dataclass(frozen=True, slots=True)
class OrderSort:
    """By which of SORT_PATHS, and which way. TOTAL compares minor units, whatever the currency."""

    field: str = "CREATED_AT"
    descending: bool = True


NEWEST_FIRST = OrderSort()
FIRST_PAGE = Window()


# Each question takes the type that what it finds is decoded to: by default all of it.


async def order(store: Store, order_id: str, view: type[OrderView] = OrderView) -> OrderView | None:
    """The order of that id, as it was last projected."""
    document = await store.container(CUSTOMER_VIEWS.name).read(customer_of(order_id), order_id)
    return document.decode(view) if document else None


async def orders(
    store: Store,
    customer_id: str | None,
    where: OrderFilter = ALL_ORDERS,
    sort: OrderSort = NEWEST_FIRST,
    window: Window = FIRST_PAGE,
    view: type[OrderView] = OrderView,
) -> Rows[OrderView]:
    """A window of a customer's orders, or of everybody's. Raises BadQuestion for a cursor of another order."""
    conditions = (Eq("kind", "order"), *where.conditions())
    query = Query(customer_id, conditions, (Order(SORT_PATHS[sort.field], sort.descending),))
    name = f"{sort.field} {'DESC' if sort.descending else 'ASC'}"
    return await rows(store.container(CUSTOMER_VIEWS.name), query, name, window, view)


async def order_history(
    store: Store, order_id: str, window: Window = FIRST_PAGE, view: type[OrderEvent] = OrderEvent
) -> Rows[OrderEvent]:
    """A window of what happened to an order, oldest first."""
    conditions = (Eq("kind", "event"), Eq("orderId", order_id))
    query = Query(customer_of(order_id), conditions, (Order("version"),))
    return await rows(store.container(CUSTOMER_VIEWS.name), query, "HISTORY", window, view)


async def customer_order_summary(
    store: Store, customer_id: str, view: type[CustomerOrderSummary] = CustomerOrderSummary
) -> CustomerOrderSummary | None:
    """A customer's orders in sum, or None for a customer without any."""
    document = await store.container(CUSTOMER_VIEWS.name).read(customer_id, summary_id(customer_id))
    return document.decode(view) if document else None


async def product_sales(store: Store, sku: str, view: type[ProductSales] = ProductSales) -> ProductSales | None:
    """What was sold of a product, or None for one that never was."""
    document = await store.container(PRODUCT_VIEWS.name).read(sku, sales_id(sku))
    return document.decode(view) if document else None
