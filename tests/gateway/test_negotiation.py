"""GraphQL over HTTP as its specification has it: media types, and what a status means under each of them."""

import json
from typing import Any

import pytest

from gateway.transports.negotiation import JSON, RESPONSE, answer_type, is_json
from tests.gateway.edge import Edge

NEW = "application/graphql-response+json"
ACCEPTED = [
    ("", JSON),
    ("*/*", JSON),
    ("application/*", JSON),
    ("application/json", JSON),
    ("APPLICATION/JSON", JSON),
    ("application/json; charset=utf-8", JSON),
    (NEW, RESPONSE),
    (f"{NEW}; charset=utf-8", RESPONSE),
    (f"{NEW}, application/json", RESPONSE),
    (f"application/json, {NEW}", RESPONSE),
    (f"{NEW};q=0.5, application/json", JSON),
    (f"{NEW}, application/json;q=0.9, */*;q=0.1", RESPONSE),
    (f"{NEW};q=0, */*", JSON),
    (f"{NEW};q=x, text/html", None),
    ("text/html", None),
    ("application/json;q=0", None),
    ("text/html, */*;q=0", None),
    ("a" * 10_000, None),
]


@pytest.mark.parametrize(("accept", "media_type"), ACCEPTED, ids=range(len(ACCEPTED)))
def test_the_answer_has_the_type_that_the_client_prefers(accept: str, media_type: bytes | None) -> None:
    assert answer_type(accept.encode()) == media_type


@pytest.mark.parametrize(
    ("content_type", "is_it"),
    [
        (b"application/json", True),
        (b'Application/JSON ; Charset="UTF-8"', True),
        (b"application/json;charset=utf8;x=y", True),
        (b"application/json; charset=utf-16", False),
        (b"application/json; charset=iso-8859-1", False),
        (b"application/jsonx", False),
        (b"application/graphql", False),
        (b"", False),
    ],
)
def test_a_body_is_json_in_utf_8(content_type: bytes, is_it: bool) -> None:
    assert is_json(content_type) is is_it


REQUESTS: list[tuple[Any, int, int]] = [
    # A request, its status as application/json, and as application/graphql-response+json.
    ({"query": "{ __typename }"}, 200, 200),
    ({"query": '{ order(id: "x") { id } }'}, 200, 200),
    ({"query": "{"}, 200, 400),
    ({"query": "{ nothing }"}, 200, 400),
    ({"query": "query($n: Int!) { orders(first: $n) { nodes { id } } }"}, 200, 400),
    ({"query": "query a { __typename } query b { __typename }"}, 400, 400),
    ({"query": "{ __typename }", "operationName": "x"}, 400, 400),
    ({}, 400, 400),
    ({"query": 5}, 400, 400),
    ([], 400, 400),
]


@pytest.mark.parametrize(("request_", "json_status", "new_status"), REQUESTS, ids=range(len(REQUESTS)))
async def test_a_status_means_what_the_media_type_says(
    edge: Edge, request_: Any, json_status: int, new_status: int
) -> None:
    for accept, status in (("application/json", json_status), (NEW, new_status)):
        headers = {"accept": accept}
        async with edge.http.post(f"{edge.url}/graphql", json=request_, headers=headers) as answer:
            told = json.loads(await answer.text())
            assert answer.status == status
            assert status == 200 or "data" not in told
            assert all(error["extensions"]["code"] for error in told.get("errors", ()))
            if status == 200:
                assert (answer.content_type, answer.charset) == (accept, "utf-8")


async def test_what_a_client_does_not_accept_is_a_406(edge: Edge) -> None:
    headers = {"accept": "text/html"}
    async with edge.http.post(f"{edge.url}/graphql", json={"query": "{ __typename }"}, headers=headers) as answer:
        assert answer.status == 406


async def test_an_unexpected_error_is_an_id_that_the_log_has(
    edge: Edge, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr("gateway.execution.Executor.execute", fail)
    status, text = await edge.post({"query": "{ __typename }"})
    (error,) = json.loads(text)["errors"]
    assert (status, error["extensions"]["code"], "swordfish" in text) == (500, "INTERNAL", False)
    assert any(error["extensions"]["id"] in record.getMessage() for record in caplog.records)
