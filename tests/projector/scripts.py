"""Strategies: commands of several customers in any order, sensible and not; and how a feed may deliver them."""

from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from store import Document, FeedRange, Start
from tests.projector.world import ADDRESS, Decide, World, item, order_id
from write_model import orders
from write_model.refusals import Refused

CUSTOMERS = ("ada", "bob", "cy")
SKUS = ("tea", "pot", "cup")


@dataclass(frozen=True)
class Step:
    """A command to give, `times` times under one id; `expected_version` 3 is right now and then."""

    decide: Decide
    id: str
    arguments: dict[str, Any]
    times: int = 1
    expected_version: int | None = None


_items = st.builds(
    item,
    st.sampled_from(SKUS),
    st.sampled_from([1, 2, 999, 0]),
    st.sampled_from(["0", "1", "5.00", "12.50", "0.005"]),
    st.sampled_from(["", "Other title"]),
)


def _step(decide: Decide, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
    return st.builds(
        Step,
        st.just(decide),
        st.builds(order_id, st.sampled_from(CUSTOMERS), st.sampled_from([1, 1, 2])),
        st.fixed_dictionaries(arguments),
        st.sampled_from([1, 1, 1, 2]),
        st.sampled_from([None, None, None, None, 3]),
    )


_new = _step(
    orders.create,
    currency=st.sampled_from(["USD", "USD", "JPY", "KWD", "???"]),
    items=st.lists(_items, max_size=3).map(tuple),
    shipping_address=st.sampled_from([ADDRESS, ADDRESS, None]),
)
_steps = st.one_of(
    _new,
    _new,
    _step(orders.add_item, item=_items),
    _step(orders.change_item_quantity, sku=st.sampled_from(SKUS), quantity=st.integers(0, 5)),
    _step(orders.remove_item, sku=st.sampled_from(SKUS)),
    _step(orders.set_shipping_address),
    _step(orders.set_payment_method, method=st.sampled_from(orders.PaymentMethod)),
    *[_step(orders.submit)] * 4,
    _step(orders.record_payment),
    _step(orders.record_payment, amount=st.just(Decimal("0.01"))),
    *[_step(decide) for decide in (orders.record_payment, orders.ship, orders.deliver, orders.cancel)],
)
_WAY = (orders.create, orders.submit, orders.record_payment, orders.ship, orders.deliver)


@st.composite
def _walks(draw: st.DrawFn) -> list[Step]:
    """Orders that each go some way in order, perhaps to be called off, with the steps of all of them mixed."""
    chance = draw(st.randoms(use_true_random=False))
    walks = []
    for id in [order_id(customer, number) for customer in CUSTOMERS for number in (1, 2)]:
        way = [*_WAY[: chance.randint(1, len(_WAY))], *[orders.cancel] * chance.randint(0, 1)]
        lines = tuple(item(sku, chance.randint(1, 3), chance.choice(["0", "1", "7"])) for sku in chance.sample(SKUS, 2))
        opening = {"items": lines, "currency": chance.choice(["USD", "JPY", "KWD"])}
        walks.append([Step(step, id, opening if step is orders.create else {}) for step in way])
    mixed = []
    while walks := [walk for walk in walks if walk]:
        mixed.append(chance.choice(walks).pop(0))
    return mixed


@st.composite
def scripts(draw: st.DrawFn) -> list[Step]:
    """Commands as a shop sees them, with others thrown in."""
    script = draw(_walks())
    for step in draw(st.lists(_steps, max_size=15)):
        script.insert(draw(st.integers(0, len(script))), step)
    return script


async def play(world: World, number: int, step: Step) -> None:
    """Give the command as often as the step says; a refusal is as good as any outcome."""
    for _ in range(step.times):
        with suppress(Refused):
            await world.give(
                step.decide,
                step.id,
                command_id=f"s{number}",
                expected_version=None if step.decide is orders.create else step.expected_version,
                actor=f"actor {number}",
                **step.arguments,
            )


class Recorder:
    """All that the feed of the write model showed when it was read now and then, in the order of each partition."""

    def __init__(self, world: World) -> None:
        self._source = world.aggregates.container
        self._cursors: dict[FeedRange, str] = {}
        self.seen: dict[str, list[Document]] = {}

    async def look(self) -> None:
        for range_ in await self._source.feed_ranges():
            page = await self._source.changes(range_, self._cursors.get(range_, Start.BEGINNING), 1000)
            self._cursors[range_] = page.cursor
            for document in page.documents:
                self.seen.setdefault(document.partition, []).append(document)


@st.composite
def deliveries(draw: st.DrawFn, seen: dict[str, list[Document]]) -> list[list[Document]]:
    """Pages with everything in `seen`: partitions mixed, each in its order; earlier pages come again anywhere."""
    chance = draw(st.randoms(use_true_random=False))
    left = {partition: list(documents) for partition, documents in seen.items()}
    mixed: list[Document] = []
    while any(left.values()):
        partition = chance.choice([partition for partition, documents in left.items() if documents])
        take = chance.randint(1, 5)
        mixed += left[partition][:take]
        del left[partition][:take]
    pages: list[list[Document]] = []
    while mixed:
        size = chance.choice([1, 2, 3, 7, 100])
        pages.append(mixed[:size])
        del mixed[:size]
        if chance.random() < 0.5:
            pages += pages[chance.randrange(len(pages)) :][: chance.randint(1, 4)]
    return pages
