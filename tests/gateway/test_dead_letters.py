"""`gateway dead-letters`: every command, on letters of both projections, and what is wrong told in a sentence."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from gateway.cli import main
from gateway.settings import Settings
from gateway.wiring import running_gateway
from projector.orders import CUSTOMER_ORDERS, PRODUCT_SALES, PROJECTIONS
from store import Upsert
from tests.projector.workers import AnyProjection, about, letters_of, parked, poisoned, working
from tests.projector.world import World, order_id, until
from write_model import orders

BOB, CY = order_id("bob"), order_id("cy")
ODD = "[red]odd"  # a name that must not be taken for markup

Cli = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs `gateway dead-letters` on a thread; gives its exit code and what it said on both streams."""
    monkeypatch.setenv("COLUMNS", "250")

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["gateway", "dead-letters", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    async def told(*arguments: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(run, *arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return told


@pytest.fixture
async def empty(store_url: str) -> AsyncIterator[World]:
    """The store that the command line is told by the environment, with nothing in it."""
    async with running_gateway(Settings(projector=False)) as gateway:
        yield World(gateway.store)


@pytest.fixture
async def shop(empty: World) -> World:
    """Bob's and Cy's orders are parked by both projections, and a document that is none."""

    async def all_parked() -> bool:
        return [set(await parked(empty, projection)) for projection in PROJECTIONS] == [{BOB, CY, ODD}] * 2

    await empty.aggregates.container.commit("bob", [Upsert(ODD, {"kind": "unheard of"})])
    for id in (BOB, CY, order_id("ada")):
        await empty.submitted(id)
    async with working(empty.store, spoiled(BOB, CY)):
        await until(all_parked)
    return empty


def spoiled(*keys: str) -> list[AnyProjection]:
    return [poisoned(projection, lambda change: about(change) in keys) for projection in PROJECTIONS]


async def keys(world: World) -> list[list[str]]:
    """What is parked, by projection."""
    return [sorted(await parked(world, projection)) for projection in PROJECTIONS]


# ---------------------------------------------------------------------------------------------------- list, show


@pytest.mark.usefixtures("empty")
async def test_nothing_parked_is_said_to_be_so(cli: Cli) -> None:
    assert await cli("list") == (0, "nothing is parked: all that came could be projected\n", "")
    assert await cli("list", "--discarded") == (0, "nothing was given up\n", "")
    assert await cli("retry", "--all") == (0, "nothing is parked\n", "")


async def test_the_list_has_a_line_for_each_key_of_each_projection(cli: Cli, shop: World) -> None:
    code, out, err = await cli("list")
    head, *lines = out.splitlines()
    assert (code, err) == (0, "")
    assert head.split()[:3] == ["projection", "key", "waiting"]
    assert [line.split()[:2] for line in lines] == [
        [projection.key, key] for projection in PROJECTIONS for key in sorted([BOB, CY, ODD])
    ]
    letter = (await parked(shop, CUSTOMER_ORDERS))[BOB]
    (line,) = [line for line in lines if line.split()[:2] == [CUSTOMER_ORDERS.key, BOB]]
    assert line.split()[2:] == [
        "3", "ZeroDivisionError:", "poison", str(letter.attempts), letter.first_seen, letter.last_seen
    ]  # fmt: skip


@pytest.mark.usefixtures("shop")
async def test_the_list_of_one_projection_has_no_other(cli: Cli) -> None:
    _, out, _ = await cli("list", "--projection", "product_sales")
    assert {line.split()[0] for line in out.splitlines()[1:]} == {PRODUCT_SALES.key}


async def test_a_letter_is_shown_as_json_with_the_document_that_failed(cli: Cli, shop: World) -> None:
    code, out, err = await cli("show", ODD, "--projection", "customer_orders")
    shown = json.loads(out)
    letter = (await parked(shop, CUSTOMER_ORDERS))[ODD]
    assert (code, err, shown["projection"]) == (0, "", CUSTOMER_ORDERS.key)
    assert (shown["document"]["kind"], shown["documents"]) == ("unheard of", [ODD])
    assert (shown["error"], shown["source"], shown["attempts"]) == (letter.error, "bob", letter.attempts)


@pytest.mark.usefixtures("shop")
async def test_a_key_that_several_projections_parked_is_shown_for_each(cli: Cli) -> None:
    _, out, _ = await cli("show", BOB)
    decoder, shown = json.JSONDecoder(), list[Any]()
    while out := out.strip():
        letter, end = decoder.raw_decode(out)
        shown.append(letter["projection"])
        out = out[end:]
    assert shown == [projection.key for projection in PROJECTIONS]


# ---------------------------------------------------------------------------------------------------- retry


async def test_a_retry_with_a_program_that_can_projects_and_says_so(cli: Cli, shop: World) -> None:
    code, out, err = await cli("retry", BOB)
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"{projection.key} {BOB}: projected, documents: 3" for projection in PROJECTIONS]
    assert await keys(shop) == [sorted([CY, ODD])] * 2
    assert ("customer_views", "bob", BOB) in await shop.views()


async def test_a_retry_of_one_projection_leaves_the_other(cli: Cli, shop: World) -> None:
    assert (await cli("retry", BOB, "--projection", "product_sales"))[0] == 0
    assert await keys(shop) == [sorted([BOB, CY, ODD]), sorted([CY, ODD])]


async def test_a_retry_that_fails_again_says_why_counts_and_ends_with_1(
    cli: Cli, shop: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.dead_letters.PROJECTIONS", spoiled(BOB))
    before = (await parked(shop, CUSTOMER_ORDERS))[BOB].attempts
    code, out, err = await cli("retry", BOB)
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        f"{projection.key} {BOB}: failed again: ZeroDivisionError: poison" for projection in PROJECTIONS
    ]
    assert (await parked(shop, CUSTOMER_ORDERS))[BOB].attempts == before + 1


async def test_a_retry_of_all_projects_what_can_be_and_ends_with_1_if_anything_failed(cli: Cli, shop: World) -> None:
    code, out, _ = await cli("retry", "--all")
    failed = [line for line in out.splitlines() if "failed again: ValidationError: " in line]
    assert (code, len(out.splitlines()), len(failed)) == (1, 6, 2)
    assert await keys(shop) == [[ODD], [ODD]]
    assert (await cli("discard", ODD, "--reason", "no order"))[0] == 0
    assert await cli("retry", "--all") == (0, "nothing is parked\n", "")


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("arguments", [(), (BOB, "--all")], ids=["neither", "both"])
async def test_a_retry_must_be_told_what(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert await cli("retry", *arguments) == (1, "", "gateway: say what to retry: a key, or --all\n")


# ---------------------------------------------------------------------------------------------------- discard


async def test_what_is_discarded_is_listed_with_its_reason_and_later_changes_are_projected(
    cli: Cli, shop: World
) -> None:
    code, out, err = await cli("discard", BOB, "--reason", "a [bold]test")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        f"{projection.key} {BOB}: given up; `gateway dead-letters list --discarded` keeps it"
        for projection in PROJECTIONS
    ]
    assert await keys(shop) == [sorted([CY, ODD])] * 2
    _, out, _ = await cli("list", "--discarded")
    lines = out.splitlines()[1:]
    assert [line.split()[:2] for line in lines] == [[projection.key, BOB] for projection in PROJECTIONS]
    assert all(line.rstrip().endswith("a [bold]test") for line in lines)
    async with working(shop.store):
        await shop.give(orders.record_payment, BOB)
        await until(lambda: _is_paid(shop))


async def _is_paid(world: World) -> bool:
    view = await world.store.container("customer_views").read("bob", BOB)
    return view is not None and view.decode(dict)["status"] == "PAID"


async def test_a_letter_of_one_projection_is_discarded_alone(cli: Cli, shop: World) -> None:
    await cli("discard", BOB, "--reason", "why not", "--projection", "product_sales")
    assert await keys(shop) == [sorted([BOB, CY, ODD]), sorted([CY, ODD])]
    assert [letter.key async for letter in letters_of(shop, PRODUCT_SALES).discarded.all()] == [BOB]


async def test_a_reason_must_be_given(cli: Cli, shop: World) -> None:
    code, _, err = await cli("discard", BOB)
    assert (code, "--reason" in err) == (2, True)
    code, _, err = await cli("discard", BOB, "--reason", " ")
    assert (code, err) == (1, "gateway: say why, in --reason: whoever looks later will want to know\n")
    assert await keys(shop) == [sorted([BOB, CY, ODD])] * 2


# ---------------------------------------------------------------------------------------------------- what is wrong


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("command", [("show",), ("retry",), ("discard", "--reason", "x")], ids=lambda words: words[0])
async def test_a_key_that_is_not_parked_is_told(cli: Cli, command: tuple[str, ...]) -> None:
    told = "gateway: nothing is parked under '[red]x'; `gateway dead-letters list` has what there is\n"
    assert await cli(command[0], "[red]x", *command[1:]) == (1, "", told)


@pytest.mark.usefixtures("empty")
@pytest.mark.parametrize("command", [("list",), ("show", "x"), ("retry", "--all"), ("discard", "x", "--reason", "x")])
async def test_a_projection_that_is_none_is_told_with_those_that_are(cli: Cli, command: tuple[str, ...]) -> None:
    told = "gateway: there is no projection 'nonsense'; there are customer_orders, product_sales\n"
    assert await cli(*command, "--projection", "nonsense") == (1, "", told)


@pytest.mark.parametrize("command", [("list",), ("show", "x"), ("retry", "--all"), ("discard", "x", "--reason", "x")])
async def test_a_store_that_cannot_be_opened_is_told(cli: Cli, command: tuple[str, ...]) -> None:
    code, out, err = await cli(*command, "--store", "nonsense")
    assert (code, out) == (1, "")
    assert err.startswith("gateway: 'nonsense' is not a store: ")


async def test_without_a_command_the_help_names_them_all(cli: Cli) -> None:
    _, out, err = await cli()
    assert [command for command in ("list", "show", "retry", "discard") if command not in out + err] == []
