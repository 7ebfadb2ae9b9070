"""Logs: JSON or text, with what is known of the request, and no more than can be borne."""

import asyncio
import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from gateway.logs import BURST, WINDOW_S, Bounded, JsonFormatter, TextFormatter, bound, config
from gateway.telemetry import Telemetry
from store import Container, Unavailable
from tests.engines import Engine
from tests.gateway.edge import Edge
from tests.gateway.processes import gateway
from tests.projector.world import PATIENCE_S
from tests.write_model.desk import BadDays, create, desk, open_orders


def record(message: str, *args: object, line: int = 1, error: bool = False) -> logging.LogRecord:
    exc_info = sys.exc_info() if error else None
    return logging.LogRecord("gateway.test", logging.WARNING, "test.py", line, message, args, exc_info)


class Kept:
    """What was logged, formatted as it would be on stderr."""

    def __init__(self, logger: str) -> None:
        self.stream = io.StringIO()
        self.handler = logging.StreamHandler(self.stream)
        self.handler.setFormatter(JsonFormatter())
        self.logger = logging.getLogger(logger)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture
def kept() -> Iterator[Kept]:
    """What `schema.errors` logs."""
    kept = Kept("schema.errors")
    kept.logger.addHandler(kept.handler)
    yield kept
    kept.logger.removeHandler(kept.handler)


# ---------------------------------------------------------------------------------------------------- how


def test_json_has_a_record_on_a_line_with_what_is_known() -> None:
    try:
        raise ValueError("no\nluck")
    except ValueError:
        failed = record("two\nlines of %s", "text", error=True)
    with bound(request_id="r-1"), bound(command_id="c-1"):
        line = JsonFormatter().format(failed)
    told = json.loads(line)
    assert "\n" not in line
    assert told.pop("time").endswith("+00:00")
    assert "ValueError: no\nluck" in told.pop("error")
    assert told == {
        "level": "warning",
        "logger": "gateway.test",
        "message": "two\nlines of text",
        "request_id": "r-1",
        "command_id": "c-1",
    }


def test_text_is_for_people() -> None:
    try:
        raise ValueError("no luck")
    except ValueError:
        failed = record("all is %s", "lost", error=True)
    with bound(request_id="r-1"):
        first, *traceback = TextFormatter().format(failed).splitlines()
    assert first[23:] == " WARNING gateway.test: all is lost request_id=r-1"
    assert traceback[-1] == "ValueError: no luck"
    assert TextFormatter().format(record("well")).endswith("gateway.test: well")


def test_what_was_known_is_forgotten_with_the_context() -> None:
    with bound(request_id="r-1"):
        pass
    assert "request_id" not in JsonFormatter().format(record("later"))


# ---------------------------------------------------------------------------------------------------- how much


def test_a_place_in_the_code_logs_so_much_in_a_while_and_then_says_what_it_kept_back() -> None:
    now = [0.0]
    bounded = Bounded(lambda: now[0])
    passed = [bounded.filter(record("again")) for _ in range(BURST + 5)]
    assert passed == [True] * BURST + [False] * 5
    assert bounded.filter(record("another place", line=2))
    now[0] = WINDOW_S
    later = record("again")
    assert bounded.filter(later)
    assert json.loads(JsonFormatter().format(later))["suppressed"] == 5
    next_ = record("again")
    bounded.filter(next_)
    assert "suppressed" not in JsonFormatter().format(next_)


@pytest.mark.parametrize(
    ("level", "ours", "others", "azure"),
    [("debug", 10, 20, 30), ("info", 20, 20, 30), ("warning", 30, 30, 30), ("error", 40, 40, 40)],
)
def test_others_do_not_log_what_they_send_and_receive(level: str, ours: int, others: int, azure: int) -> None:
    chosen = config(level, "json")
    levels = {name: logger["level"] for name, logger in chosen["loggers"].items()}
    assert (levels["schema"], levels["uvicorn.error"], chosen["root"]["level"]) == (ours, others, others)
    assert levels["azure"] == azure


# ---------------------------------------------------------------------------------------------------- of what


async def test_what_a_request_has_logged_carries_its_id(edge: Edge, kept: Kept) -> None:
    await edge.gateway.store.close()
    headers = {"x-request-id": "abc-1"}
    body = {"query": '{ customerOrderSummary(customerId: "ada") { totalOrders } }'}
    async with edge.http.post(f"{edge.url}/graphql", json=body, headers=headers) as answer:
        assert answer.headers["x-request-id"] == "abc-1"
    (line,) = kept.lines
    assert (line["level"], line["logger"], line["request_id"]) == ("error", "schema.errors", "abc-1")


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "ä", '"'])
async def test_an_id_that_is_not_sane_is_replaced(edge: Edge, given: str) -> None:
    async with edge.http.get(f"{edge.url}/healthz", headers={"x-request-id": given}) as answer:
        made = answer.headers["x-request-id"]
    assert made != given
    assert len(made) == 32


async def test_a_socket_has_an_id_too(edge: Edge) -> None:
    async with edge.http.ws_connect(
        f"{edge.url}/graphql", protocols=["graphql-transport-ws"], headers={"x-request-id": "s-1"}
    ) as socket:
        assert socket._response.headers["x-request-id"] == "s-1"


async def test_what_a_command_has_logged_carries_the_ids_of_command_and_order(engine: Engine, kept: Kept) -> None:
    container: Container = await open_orders(engine)

    async def fail(apply: object) -> Any:
        logging.getLogger("schema.errors").error("on its way")
        raise Unavailable("gone")

    with pytest.raises(Unavailable):
        await Telemetry().execute(desk(BadDays(container, [fail])), create("c-1"))
    (line,) = kept.lines
    assert (line["command_id"], line["order_id"]) == ("c-1", "order:ada:1")


async def test_a_process_logs_json_if_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json")
    monkeypatch.setenv("STORE_URL", "sqlite:///:memory:")
    async with asyncio.timeout(PATIENCE_S), gateway("serve", "--port", "0") as process:
        assert process.stderr
        lines: list[dict[str, Any]] = []
        while not lines or lines[-1]["message"] != "Application startup complete.":
            lines.append(json.loads(await process.stderr.readline()))
        process.terminate()
        rest = (await process.stderr.read()).decode().splitlines()
    assert {json.loads(line)["logger"] for line in rest} == {"uvicorn.error"}
    assert lines[0]["message"].startswith("Serving http://127.0.0.1:")


async def test_what_a_socket_is_asked_in_its_address_is_not_logged() -> None:
    serving = gateway("serve", "--port", "0", "--store", "sqlite:///:memory:")
    async with asyncio.timeout(PATIENCE_S), serving as process, aiohttp.ClientSession() as http:
        assert process.stderr
        while not (served := re.search(rb"Serving (http://\S+) from", await process.stderr.readline())):
            pass
        address = f"{served[1].decode()}/graphql?access_token=SECRET"
        async with http.ws_connect(address, protocols=["graphql-transport-ws"]):
            pass
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await http.ws_connect(address, headers={"origin": "https://evil.example"})
        process.terminate()
        rest = (await process.stderr.read()).decode()
    assert re.findall(r'"WebSocket (\S+)" (\S+)', rest) == [("/graphql", "[accepted]"), ("/graphql", "403")]
    assert "SECRET" not in rest


async def test_a_projector_logs_json_if_it_is_told_to(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_FORMAT", "json")
    async with asyncio.timeout(PATIENCE_S), gateway("project") as process:
        assert process.stderr
        assert json.loads(await process.stderr.readline())["message"].startswith("Projecting ")
