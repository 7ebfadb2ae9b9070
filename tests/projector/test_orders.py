"""The projections as values: a feed of changes in, read documents out."""

import itertools
from typing import Any, get_args

import msgspec
import pytest

from projector.orders import CUSTOMER_ORDERS, DISPLAY, PRODUCT_SALES, Change, order_view, summary_of
from read_model.orders import (
    CustomerOrderSummary,
    Money,
    OrderEvent,
    OrderItem,
    OrderStatus,
    OrderView,
    ProductSales,
    Sale,
    StatusCount,
    sale_id,
    sales_id,
    summary_id,
)
from tests.projector.world import ADDRESS, Decide, Ledger, Views, item, moment, order_id, project
from write_model import orders
from write_model.orders import (
    add_item,
    cancel,
    change_item_quantity,
    create,
    deliver,
    record_payment,
    remove_item,
    set_payment_method,
    set_shipping_address,
    ship,
    submit,
)
from write_model.orders import events as happened

A, B = order_id("ada", 1), order_id("ada", 2)
WAY = (create, submit, record_payment, ship, deliver)
TEA = item("tea", 2, "5.00", "Green tea")


def ledger(*steps: Decide, id: str = A, **first: Any) -> Ledger:
    """An order of `first`, taken through `steps`."""
    book = Ledger()
    go(book, *steps, id=id, **first)
    return book


def go(book: Ledger, *steps: Decide, id: str = A, **first: Any) -> None:
    for step in steps:
        book.give(step, id, **(({"items": (TEA,)} | first) if step is create else {}))


def view(views: Views, id: str = A) -> OrderView:
    found = views["ada", id]
    assert isinstance(found, OrderView)
    return found


def summary(views: Views, customer: str = "ada") -> CustomerOrderSummary:
    found = views[customer, summary_id(customer)]
    assert isinstance(found, CustomerOrderSummary)
    return found


def sales(views: Views, sku: str = "tea") -> ProductSales:
    found = views[sku, sales_id(sku)]
    assert isinstance(found, ProductSales)
    return found


def only_orders(book: Ledger) -> list[Change]:
    return [change for change in book.changes if isinstance(change, orders.Order)]


def coalesced(book: Ledger) -> list[Change]:
    """What a feed shows that is read only now: of each order its last version, and all commands."""
    latest = {id: order.version for id, order in book.orders.items()}
    return [c for c in book.changes if not isinstance(c, orders.Order) or c.version == latest[c.id]]


# ------------------------------------------------------------------------------------------- the order view


def test_an_order_view_shows_the_order_field_by_field() -> None:
    book = ledger(create, set_payment_method, submit, record_payment, ship, items=(TEA, item("pot", 1, "12.5")))
    assert view(project(book.changes)) == OrderView(
        id=A,
        customer_id="ada",
        customer_name="ada",
        customer_email="a@example.com",
        status=OrderStatus.SHIPPED,
        status_display="On its way",
        version=5,
        items=(
            OrderItem("tea", "Green tea", 2, Money("5.00", "USD"), Money("10.00", "USD")),
            OrderItem("pot", "Pot", 1, Money("12.50", "USD"), Money("12.50", "USD")),
        ),
        item_count=2,
        total=Money("22.50", "USD"),
        total_minor=2250,
        product_ids=("tea", "pot"),
        created_at=moment(0),
        updated_at=moment(4),
        shipping_address=order_view(book.orders[A]).shipping_address,
        shipping_summary="Ada, Berlin, DE",
        payment_method=order_view(book.orders[A]).payment_method,
        tracking_number="T-1",
        cancel_reason=None,
        submitted_at=moment(2),
    )


def test_an_order_view_repeats_address_and_payment_method_as_they_were_given() -> None:
    address = msgspec.structs.replace(ADDRESS, line2="Rear house", region="BE")
    shown = view(project(ledger(create, set_payment_method, shipping_address=address).changes))
    assert msgspec.to_builtins(shown.shipping_address) == msgspec.to_builtins(address)
    assert shown.payment_method == "CARD"


def test_a_bare_draft_has_neither_address_nor_payment_nor_sum() -> None:
    shown = view(project(ledger(create, items=(), shipping_address=None).changes))
    absent = (shown.shipping_address, shown.shipping_summary, shown.payment_method, shown.submitted_at)
    assert absent == (None, None, None, None)
    assert (shown.items, shown.item_count, shown.total, shown.product_ids) == ((), 0, Money("0.00", "USD"), ())


def test_a_cancelled_order_shows_why() -> None:
    assert view(project(ledger(create, cancel).changes)).cancel_reason == "too late"


def test_every_status_has_a_text_of_its_own() -> None:
    assert set(DISPLAY) == set(OrderStatus)
    assert len(set(DISPLAY.values())) == len(DISPLAY)
    assert all(shown.strip() for shown in DISPLAY.values())


@pytest.mark.parametrize(
    ("currency", "price", "line", "minor"),
    [("USD", "0.01", "0.03", 3), ("JPY", "1250", "3750", 3750), ("KWD", "0.005", "0.015", 15), ("USD", "0", "0.00", 0)],
)
def test_amounts_have_the_digits_of_their_currency(currency: str, price: str, line: str, minor: int) -> None:
    shown = view(project(ledger(create, currency=currency, items=(item("tea", 3, price),)).changes))
    assert (shown.items[0].line_total, shown.total, shown.total_minor) == (
        Money(line, currency),
        Money(line, currency),
        minor,
    )


@pytest.mark.parametrize("newest", [1, 2, 3])
def test_an_older_version_changes_nothing(newest: int) -> None:
    versions = only_orders(ledger(*WAY))
    then = project(versions[: newest + 1])
    assert project(versions[:newest], onto=then) == then


# ------------------------------------------------------------------------------------------- the history

SUMMARIES: list[tuple[happened.Event, str]] = [
    (happened.OrderCreated("", A, "ada", "ada", "a@b.de", "USD", ()), "Order created with 0 items"),
    (
        happened.OrderCreated("", A, "ada", "ada", "a@b.de", "USD", (orders.Item("x", "X", 1, 1),)),
        "Order created with 1 item",
    ),
    (happened.ItemAdded("", orders.Item("tea", "Green tea", 2, 500)), "Added 2 x Green tea"),
    (happened.ItemQuantityChanged("", "tea", 7), "Quantity of tea is now 7"),
    (happened.ItemRemoved("", "tea"), "Removed tea"),
    (happened.ShippingAddressSet("", ADDRESS), "Ships to Ada, Berlin, DE"),
    (happened.PaymentMethodSet("", orders.PaymentMethod.CARD), "To be paid by card"),
    (happened.OrderSubmitted("", "USD", ()), "Order submitted"),
    (happened.PaymentRecorded("", 1, "P-1"), "Payment P-1 recorded"),
    (happened.OrderShipped("", "DHL", "T-1"), "Shipped with DHL, tracking number T-1"),
    (happened.OrderDelivered(""), "Delivered"),
    (happened.OrderCancelled("", "no", "USD"), "Cancelled: no"),
]


@pytest.mark.parametrize(("event", "sentence"), SUMMARIES, ids=lambda value: type(value).__name__)
def test_an_event_is_told_in_a_sentence(event: happened.Event, sentence: str) -> None:
    assert summary_of(event) == sentence


def test_every_event_type_has_a_sentence() -> None:
    assert {type(event) for event, _ in SUMMARIES} == set(get_args(happened.Event))


def test_history_has_an_entry_for_each_event_and_none_for_a_command_without_events() -> None:
    book = ledger(create, submit, submit, cancel)
    events = [view for view in project(book.changes).values() if isinstance(view, OrderEvent)]
    assert [(event.version, event.type) for event in events] == [
        (1, "OrderCreated"),
        (2, "OrderSubmitted"),
        (3, "OrderCancelled"),
    ]


def test_an_entry_tells_who_did_what_and_when() -> None:
    book = ledger(create)
    book.give(submit, A, actor="ada@example.com")
    assert project(book.changes)["ada", f"event:{A}:2"] == OrderEvent(
        id=f"event:{A}:2",
        order_id=A,
        type="OrderSubmitted",
        version=2,
        at=moment(1),
        command_id="1",
        summary="Order submitted",
        actor="ada@example.com",
    )


# ------------------------------------------------------------------------------------------- the customer's summary


def test_an_order_counts_once_however_often_it_changes() -> None:
    book = ledger(create, set_payment_method, submit, record_payment)
    assert summary(project(book.changes)) == CustomerOrderSummary(
        id=summary_id("ada"),
        customer_id="ada",
        total_orders=1,
        total_spent=(Money("10.00", "USD"),),
        orders_by_status=(StatusCount(OrderStatus.PAID, 1),),
        last_order_at=moment(0),
        version=4,
    )


def test_orders_are_counted_by_status_in_the_order_of_their_way() -> None:
    book = ledger(*WAY)
    for number, steps in enumerate([(create, cancel), (create,), (create, submit), (create,)], 2):
        go(book, *steps, id=order_id("ada", number))
    counts = summary(project(book.changes)).orders_by_status
    assert [(entry.status.value, entry.count) for entry in counts] == [
        ("DRAFT", 2),
        ("SUBMITTED", 1),
        ("DELIVERED", 1),
        ("CANCELLED", 1),
    ]


@pytest.mark.parametrize("length", range(1, 6))
def test_changes_that_arrive_twice_change_no_sum(length: int) -> None:
    changes = ledger(*WAY[:length]).changes
    once = project(changes)
    assert project(changes, onto=once) == once
    assert project(itertools.chain.from_iterable((change, change) for change in changes)) == once


def test_a_draft_is_not_spent() -> None:
    assert summary(project(ledger(create).changes)).total_spent == ()


def test_a_cancelled_order_is_not_spent_but_still_counts_as_an_order() -> None:
    shown = summary(project(ledger(create, submit, record_payment, cancel).changes))
    assert (shown.total_orders, shown.total_spent) == (1, ())


def test_spending_is_summed_by_currency_exactly() -> None:
    book = Ledger()
    prices = [("USD", "0.10"), ("JPY", "700"), ("USD", "0.20"), ("KWD", "1.005"), ("JPY", "50"), ("EUR", "0")]
    for number, (currency, price) in enumerate(prices):
        go(book, create, submit, id=order_id("ada", number), currency=currency, items=(item("tea", 1, price),))
    assert summary(project(book.changes)).total_spent == (
        Money("750", "JPY"),
        Money("1.005", "KWD"),
        Money("0.30", "USD"),
    )


def test_the_last_order_is_the_latest_created_whichever_changed_last() -> None:
    book = ledger(create)
    go(book, create, id=B)
    go(book, submit, id=A)
    assert summary(project(book.changes)).last_order_at == moment(1)


@pytest.mark.parametrize(
    "steps",
    [(create, cancel), (create, submit, cancel), (create, submit, record_payment, cancel), WAY, (create, submit)],
    ids=lambda steps: "-".join(step.__name__ for step in steps),
)
def test_skipped_versions_sum_up_to_the_same_as_step_by_step(steps: tuple[Decide, ...]) -> None:
    book = ledger(*steps)
    go(book, create, submit, id=B)
    assert project(coalesced(book)) == project(book.changes)


def test_changing_the_items_of_a_draft_moves_its_total_but_no_spending() -> None:
    book = ledger(create)
    book.give(add_item, A, item=item("pot", 1, "3.00"))
    book.give(change_item_quantity, A, sku="tea", quantity=1)
    book.give(remove_item, A, sku="pot")
    book.give(set_shipping_address, A, address=msgspec.structs.replace(ADDRESS, city="Bonn"))
    views = project(book.changes)
    assert (view(views).total, summary(views).total_spent) == (Money("5.00", "USD"), ())
    assert view(views).shipping_summary == "Ada, Bonn, DE"


# ------------------------------------------------------------------------------------------- a product's sales


def test_a_submitted_order_is_sold_and_marked() -> None:
    views = project(ledger(create, submit).changes)
    assert sales(views) == ProductSales(
        id="product:tea",
        sku="tea",
        title="Green tea",
        units_sold=2,
        revenue=(Money("10.00", "USD"),),
        order_count=1,
        last_sold_at=moment(1),
        last_sold_in=A,
        version=1,
    )
    assert views["tea", sale_id(A)] == Sale(sale_id(A), version=2)


def test_a_cancelled_order_is_taken_out_of_the_sales_and_zero_sums_vanish() -> None:
    views = project(ledger(create, submit, record_payment, cancel).changes)
    shown = sales(views)
    assert (shown.units_sold, shown.revenue, shown.order_count, shown.version) == (0, (), 0, 2)
    assert views["tea", sale_id(A)] == Sale(sale_id(A), version=4, cancelled=True)


def test_each_product_of_an_order_has_its_own_sales() -> None:
    views = project(ledger(create, submit, items=(TEA, item("pot", 3, "1.00"))).changes)
    assert [(sales(views, sku).units_sold, sales(views, sku).revenue[0].amount) for sku in ("tea", "pot")] == [
        (2, "10.00"),
        (3, "3.00"),
    ]


def test_sales_are_summed_by_currency() -> None:
    book = ledger(create, submit, currency="KWD", items=(item("tea", 1, "0.125"),))
    go(book, create, submit, id=B, currency="JPY", items=(item("tea", 2, "300"),))
    shown = sales(project(book.changes))
    assert (shown.units_sold, shown.order_count) == (3, 2)
    assert shown.revenue == (Money("600", "JPY"), Money("0.125", "KWD"))


@pytest.mark.parametrize("steps", [(create,), (create, cancel), (create, set_payment_method)])
def test_a_draft_even_a_cancelled_one_sells_nothing(steps: tuple[Decide, ...]) -> None:
    assert {partition for partition, _ in project(ledger(*steps).changes)} == {"ada"}


@pytest.mark.parametrize("steps", [(create, submit), (create, submit, cancel)])
def test_a_sale_delivered_again_from_any_point_counts_once(steps: tuple[Decide, ...]) -> None:
    changes = ledger(*steps).changes
    once = project(changes)
    for start in range(len(changes)):
        assert project(changes[start:], onto=once) == once


def test_title_and_last_sale_do_not_depend_on_which_customer_is_projected_first() -> None:
    books = []
    for customer, second, title in (("ada", 3, "Old tea"), ("bob", 5, "New tea"), ("cy", 5, "Other tea")):
        book = Ledger()
        id = order_id(customer)
        book.give(create, id, items=(item("tea", 1, "1.00", title),))
        book.give(submit, id, at=moment(second))
        books.append(book.changes)
    outcomes = [sales(project(itertools.chain(*order))) for order in itertools.permutations(books)]
    assert len(set(outcomes)) == 1
    assert (outcomes[0].title, outcomes[0].last_sold_at) == ("Other tea", moment(5))


def test_a_cancelled_sale_leaves_title_and_time_of_the_last_sale() -> None:
    shown = sales(project(ledger(create, submit, cancel).changes))
    assert (shown.title, shown.last_sold_at) == ("Green tea", moment(1))


# ------------------------------------------------------------------------------------------- routes


def test_a_command_without_events_concerns_nobody() -> None:
    nothing = ledger(create, submit, submit).changes[-1]
    assert not list(CUSTOMER_ORDERS.route(nothing))
    assert not list(PRODUCT_SALES.route(nothing))


def test_a_projection_is_named_with_its_generation() -> None:
    assert [CUSTOMER_ORDERS.key, PRODUCT_SALES.key] == ["customer_orders.1", "product_sales.1"]


def test_an_order_whose_customer_has_lost_the_summary_is_not_projected() -> None:
    book = ledger(create)
    before = book.orders[A]
    book.give(add_item, A, item=item("pen", 1, "2.00"))
    with pytest.raises(KeyError):
        list(CUSTOMER_ORDERS.project(book.orders[A], "ada", {A: order_view(before)}))
