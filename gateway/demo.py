"""Realistic data through the real command path, and how to look at it.

The same seed makes the same customers, products and orders; their ids are new each time, so a second run adds.
"""

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

from rich.console import Console
from rich.progress import Progress

from gateway.bars import bars
from gateway.settings import Settings
from gateway.wiring import Gateway, running_gateway
from read_model.orders import CUSTOMER_VIEWS, OrderView
from read_model.versions import versions
from schema.scalars import format_date_time
from write_model import orders
from write_model.commands import Command
from write_model.handler import execute

CONCURRENT = 64
SPAN = timedelta(days=90)
ORDERS_PER_CUSTOMER = 8

FIRST_NAMES = "Ada Alan Amara Anja Ben Chen Clara Diego Elif Emma Farid Grace Hana Igor Ines Jonas Kofi Lea Linus Mei"
LAST_NAMES = "Abe Berg Costa Dubois Eriksen Fischer Garcia Haddad Ito Jansen Kaya Lopez Mensah Novak Okafor Rossi Sato"
PLACES = [
    ("Berlin", "10115", "DE", "EUR"),
    ("Lyon", "69001", "FR", "EUR"),
    ("Milano", "20121", "IT", "EUR"),
    ("London", "EC1A 1BB", "GB", "GBP"),
    ("New York", "10001", "US", "USD"),
    ("Austin", "73301", "US", "USD"),
    ("Osaka", "530-0001", "JP", "JPY"),
    ("Zurich", "8001", "CH", "CHF"),
]
STREETS = ["Main Street", "Oak Avenue", "Station Road", "Harbour Lane", "Mill Street", "Park Row"]
ADJECTIVES = ["Walnut", "Linen", "Copper", "Enamel", "Oak", "Wool", "Glass", "Slate", "Brass", "Cedar"]
THINGS = ["Desk Lamp", "Notebook", "Kettle", "Shelf", "Blanket", "Clock"]
REASONS = ["Found it elsewhere", "Ordered by mistake", "Takes too long", "Changed my mind"]


@dataclass(frozen=True)
class Customer:
    """Someone who orders, always in one currency."""

    id: str
    name: str
    email: str
    address: orders.Address
    currency: str


@dataclass
class Made:
    """An order that was made: its last version, and where it stands."""

    id: str
    version: int
    status: orders.OrderStatus


Step = partial[list[orders.Event]]
"""A decision with its arguments but for the time."""


async def load(settings: Settings, count: int, seed: int) -> None:
    """Make `count` orders, wait until they are projected, and print how to look at them."""
    console = Console()
    with bars(console) as progress:
        async with running_gateway(settings) as gateway:
            commands = Counter[str]()
            made = [order async for order in _bounded(gateway, progress, count, seed, commands)]
            await _wait_until_projected(gateway, progress, made)
    _say_how_to_look(console, made, commands, seed, settings)


async def _bounded(
    gateway: Gateway, progress: Progress, count: int, seed: int, commands: Counter[str]
) -> AsyncIterator[Made]:
    bar = progress.add_task("ordering", total=count, rate="")
    started = asyncio.get_running_loop().time()
    plans = iter(_plans(count, seed))
    running: set[asyncio.Task[Made]] = set()
    done = 0
    while True:
        while len(running) < CONCURRENT and (plan := next(plans, None)):
            running.add(asyncio.create_task(_carry_out(gateway, *plan, commands)))
        if not running:
            return
        finished, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in finished:
            yield task.result()
        done += len(finished)
        seconds = asyncio.get_running_loop().time() - started
        progress.update(bar, completed=done, rate=f"{commands.total() / seconds:,.0f} commands/s")


async def _carry_out(
    gateway: Gateway, customer: Customer, order_id: str, steps: list[tuple[datetime, Step]], commands: Counter[str]
) -> Made:
    for at, step in steps:
        command: Command[orders.Order, orders.Event] = Command(
            decide=step.func,
            aggregate_id=order_id,
            partition=customer.id,
            arguments=step.keywords,
            id=gateway.context.new_id(),
            at=format_date_time(at),
            given=False,
            actor="demo",
        )
        applied = await execute(gateway.context.orders, command)
        commands[command.name] += 1
    return Made(order_id, applied.state.version, applied.state.status)


async def _wait_until_projected(gateway: Gateway, progress: Progress, made: list[Made]) -> None:
    bar = progress.add_task("projecting", total=len(made), rate="")
    for order in made:
        customer_id = order.id.split(":")[1]
        read = versions(
            gateway.store,
            gateway.context.live,
            CUSTOMER_VIEWS.name,
            customer_id,
            order.id,
            OrderView,
            since=order.version - 1,
        )
        async with aclosing(read):
            await anext(read)
        progress.update(bar, advance=1)


def _say_how_to_look(console: Console, made: list[Made], commands: Counter[str], seed: int, settings: Settings) -> None:
    by_status = Counter(order.status for order in made)
    statuses = ", ".join(f"{by_status[status]:,} {status.lower()}" for status in orders.OrderStatus)
    customer_id = made[0].id.split(":")[1]
    sku = _products(random.Random(seed))[0].sku
    print = partial(console.print, markup=False, highlight=False, soft_wrap=True)
    print(f"\n{len(made):,} orders by {commands.total():,} commands: {statuses}.\n")
    print(
        f"Serve them with `gateway serve --store {settings.store_url}` and ask, for example in the playground at / :\n"
    )
    print(
        f"""query {{
  customerOrders(customerId: "{customer_id}", first: 3) {{ nodes {{ id status total {{ amount currency }} }} }}
  customerOrderSummary(customerId: "{customer_id}") {{ totalOrders totalSpent {{ amount currency }} }}
  productSales(sku: "{sku}") {{ title unitsSold orderCount revenue {{ amount currency }} }}
  order(id: "{made[0].id}") {{ statusDisplay history {{ nodes {{ version at summary }} }} }}
}}"""
    )


# ---------------------------------------------------------------------------------------------- what to make


def _plans(count: int, seed: int) -> Iterator[tuple[Customer, str, list[tuple[datetime, Step]]]]:
    """For each order its customer, its id, and its steps in time."""
    chance = random.Random(seed)
    products = _products(chance)
    customers = [_customer(chance, number) for number in range(max(1, count // ORDERS_PER_CUSTOMER))]
    begin = datetime.now(UTC) - SPAN
    for number in range(count):
        customer = chance.choice(customers)
        order_id = orders.order_id(customer.id, str(uuid.uuid4()))
        moment = begin + SPAN * (number / count)
        steps = []
        for step in _steps(chance, customer, order_id, products):
            steps.append((moment, step))
            moment = min(moment + timedelta(minutes=chance.expovariate(1 / 200)), datetime.now(UTC))
        yield customer, order_id, steps


def _steps(chance: random.Random, customer: Customer, order_id: str, products: list[orders.NewItem]) -> Iterator[Step]:
    """What happens to an order, from its creation to wherever its fate takes it."""
    first, *more = _basket(chance, products, customer.currency)
    create = partial(orders.create, id=order_id, customer_id=customer.id, name=customer.name, email=customer.email)
    yield partial(create, currency=customer.currency, items=[first])
    for item in more:
        yield partial(orders.add_item, item=item)
    if chance.random() < 0.2:
        first = first._replace(quantity=first.quantity + 1)
        yield partial(orders.change_item_quantity, sku=first.sku, quantity=first.quantity)
    fate = chance.random()
    if fate < 0.1:
        return  # left in the basket
    yield partial(orders.set_shipping_address, address=customer.address)
    yield partial(orders.set_payment_method, method=chance.choice(list(orders.PaymentMethod)), reference=None)
    yield partial(orders.submit)
    if fate < 0.17:
        yield partial(orders.cancel, reason=chance.choice(REASONS))
    if fate < 0.3:
        return
    total = sum((item.quantity * item.unit_price for item in (first, *more)), Decimal(0))
    yield partial(orders.record_payment, amount=total, reference=f"PAY-{chance.randrange(10**8):08}")
    if fate < 0.4:
        return
    yield partial(orders.ship, carrier="Parcel Post", tracking_number=f"PP{chance.randrange(10**9):09}")
    if fate >= 0.5:
        yield partial(orders.deliver)


def _products(chance: random.Random) -> list[orders.NewItem]:
    names = [f"{adjective} {thing}" for adjective in ADJECTIVES for thing in THINGS]
    prices = [Decimal(chance.randrange(500, 20_000)) / 100 for _ in names]
    return [
        orders.NewItem(name.upper().replace(" ", "-"), name, 1, price)
        for name, price in zip(names, prices, strict=True)
    ]


def _basket(chance: random.Random, products: list[orders.NewItem], currency: str) -> list[orders.NewItem]:
    """One to four different products, the first ones of the catalogue more often, priced in the currency."""
    popularity = [1 / (rank + 3) for rank in range(len(products))]
    chosen = dict.fromkeys(chance.choices(range(len(products)), popularity, k=chance.randint(1, 4)))
    factor = 150 if currency == "JPY" else 1
    return [
        products[index]._replace(
            quantity=chance.choice((1, 1, 1, 2, 3)),
            unit_price=(products[index].unit_price * factor).quantize(Decimal(1 if currency == "JPY" else "0.01")),
        )
        for index in chosen
    ]


def _customer(chance: random.Random, number: int) -> Customer:
    first, last = chance.choice(FIRST_NAMES.split()), chance.choice(LAST_NAMES.split())
    city, postal_code, country, currency = chance.choice(PLACES)
    name = f"{first} {last}"
    street = f"{chance.randrange(1, 200)} {chance.choice(STREETS)}"
    return Customer(
        id=f"{first}.{last}.{number}".lower(),
        name=name,
        email=f"{first}.{last}@example.com".lower(),
        address=orders.Address(name=name, line1=street, city=city, postal_code=postal_code, country=country),
        currency=currency,
    )
