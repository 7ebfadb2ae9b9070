"""Who did what: in the command's document, in the history, in the log, and in the counters."""

import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from gateway.logs import JsonFormatter
from schema.viewer import Viewer
from tests.gateway.edge import Edge
from tests.schema.api import UUIDS, Api, line, new_order
from tests.security.asking import named, post
from tests.security.roles import ID, ROLES, As, question
from write_model import orders

CAROL = Viewer("staff", "carol")
COMMAND_ID = UUIDS[50]


async def document(api: Api, command_id: str = COMMAND_ID) -> dict[str, Any]:
    container = api.gateway.store.container(orders.CONTAINER.name)
    found = await container.read("ada", f"cmd:{command_id}")
    assert found
    told: dict[str, Any] = found.decode(dict)
    return told


def as_(api: Api, viewer: Viewer) -> Api:
    return Api(replace(api.gateway, context=replace(api.context, viewer=viewer)))


ACTORS = [
    (ROLES["its customer"], "customer:user|1"),
    (CAROL, "staff:carol"),
    (ROLES["`orders:write`"], "service:robot"),
]


@pytest.mark.parametrize(("viewer", "actor"), ACTORS)
async def test_a_command_says_who_gave_it_and_when(api: Api, viewer: Viewer, actor: str) -> None:
    somebody = as_(api, viewer)
    await somebody.done("createOrder", new_order("ada", orderUuid=UUIDS[1], commandId=COMMAND_ID))
    stored = await document(api)
    assert (stored["actor"], stored["name"], stored["version"]) == (actor, "create", 1)
    assert stored["at"]
    await api.project()
    history = await as_(api, CAROL).ask(f'{{ order(id: "{ID}") {{ history {{ nodes {{ actor at }} }} }} }}')
    assert history["order"]["history"]["nodes"] == [{"actor": actor, "at": stored["at"]}]


async def test_who_has_not_said_who_they_are_is_no_actor(api: Api) -> None:
    await api.done("createOrder", new_order("ada", orderUuid=UUIDS[1], commandId=COMMAND_ID))
    assert (await document(api))["actor"] is None


async def test_a_client_cannot_say_who_it_is_in_a_command(api: Api) -> None:
    result = await api.execute(
        "mutation($input: CreateOrderInput!) { createOrder(input: $input) { __typename } }",
        {"input": new_order("ada", actor="staff:carol")},
    )
    assert result.errors


@pytest.mark.parametrize("second", [CAROL, ROLES["`orders:write`"]])
async def test_a_command_id_is_its_actors(api: Api, second: Viewer) -> None:
    """Who sends it again is answered; somebody else is not told, nor does it happen twice."""
    ada = as_(api, ROLES["its customer"])
    await ada.created("ada", 1)
    input = {"orderId": ID, "item": line("cup", 1, "3.00", "Cup"), "commandId": COMMAND_ID}
    first = await ada.done("addItem", input)
    again = await ada.done("addItem", input)
    assert (again["replayed"], again["order"]) == (True, first["order"])
    refused = await as_(api, second).command("addItem", input)
    assert (refused["code"], "order" in refused) == ("COMMAND_ID_REUSED", False)
    assert (await document(api))["actor"] == "customer:user|1"


async def test_a_token_of_another_time_is_the_same_actor(api: Api) -> None:
    ada = ROLES["its customer"]
    input = new_order("ada", orderUuid=UUIDS[1], commandId=COMMAND_ID)
    await as_(api, replace(ada, expires_at=1.0)).done("createOrder", input)
    assert (await as_(api, replace(ada, expires_at=2.0)).done("createOrder", input))["replayed"]


# ---------------------------------------------------------------------------------------------------- logs, counters


def records(caplog: pytest.LogCaptureFixture, message: str) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.getMessage() == message]


async def test_what_is_denied_is_counted_by_field_and_who(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    for role in ("nobody", "another customer", "service"):
        await As(api, ROLES[role]).ask(question("Query.order"))
        await As(api, ROLES[role]).ask(question("Mutation.shipOrder"))
    registry = api.gateway.telemetry.metrics.registry
    counted = [
        ("order", "anonymous", "UNAUTHENTICATED"),
        ("order", "customer", "FORBIDDEN"),
        ("order", "service", "FORBIDDEN"),
        ("ship_order", "anonymous", "UNAUTHENTICATED"),
        ("ship_order", "customer", "FORBIDDEN"),
        ("ship_order", "service", "FORBIDDEN"),
    ]
    for field, viewer, code in counted:
        labels = {"field": field, "viewer": viewer, "code": code}
        assert registry.get_sample_value("gateway_denied_total", labels) == 1, labels
    assert len(records(caplog, "denied")) == len(counted)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is logged as JSON, as a line on stderr would have it."""
    lines: list[dict[str, Any]] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(JsonFormatter().format(record)))

    log = logging.getLogger("gateway.telemetry")
    monkeypatch.setattr(log, "handlers", [Lines()])
    monkeypatch.setattr(log, "level", logging.INFO)
    return lines


async def test_what_is_denied_is_logged_with_who_asked_and_the_request(
    edge: Edge, logged: list[dict[str, Any]]
) -> None:
    query = f'{{ order(id: "order:alice:{UUIDS[1]}") {{ id }} }}'
    answer = await post(edge, named("customer:bob"), query)
    assert answer.body["data"] == {"order": None}
    (told,) = logged
    expected = {"message": "denied", "level": "warning", "actor": "customer:bob", "field": "order", "code": "FORBIDDEN"}
    assert expected.items() <= told.items()
    assert told["request_id"] == answer.headers["x-request-id"]
    await post(edge, named("nobody"), query)
    assert (logged[1]["actor"], logged[1]["code"]) == ("anonymous", "UNAUTHENTICATED")


async def test_a_command_that_was_refused_is_logged_with_who_gave_it(edge: Edge, logged: list[dict[str, Any]]) -> None:
    id = f"order:alice:{UUIDS[1]}"
    submit = "mutation($input: SubmitOrderInput!) { submitOrder(input: $input) { __typename } }"
    await post(edge, named("customer:alice"), submit, {"input": {"orderId": id, "commandId": COMMAND_ID}})
    (told,) = logged
    assert told["message"] == "the command submit was not carried out: ORDER_NOT_FOUND"
    assert (told["actor"], told["order_id"], told["command_id"]) == ("customer:alice", id, COMMAND_ID)


async def test_credentials_that_prove_nothing_are_logged_by_why(edge: Edge, logged: list[dict[str, Any]]) -> None:
    await post(edge, named("root"))
    (told,) = logged
    assert (told["message"], told["reason"]) == ("credentials were refused", "malformed")
    assert "root" not in json.dumps(told)
