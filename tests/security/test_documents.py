"""Documents that take long, or make others wait: each is answered by a code, and the others are served meanwhile."""

import asyncio

import pytest

from tests.security.attacked import Attacked

LIMIT = "DOCUMENT_LIMIT"


def fragments(count: int, spread: str = "...f{next} ...f{next}") -> str:
    """Fragments each of which spreads the next one twice, so that what the first one is, is exponential."""
    chain = "".join(f"fragment f{n} on Query {{ {spread.format(next=n + 1)} }}" for n in range(count))
    return f"{{ ...f0 }} {chain} fragment f{count} on Query {{ __typename }}"


ATTACKS: dict[str, tuple[str, str]] = {
    "alias flood": ("{" + "".join(f" a{n}: __typename" for n in range(100)) + "}", LIMIT),
    "alias flood through fragments": (fragments(6, "a{next}: __typename ...f{next} ...f{next}"), LIMIT),
    "directive flood": ("{ __typename" + " @include(if: true)" * 100 + "}", LIMIT),
    "field duplication": ("{" + " __typename" * 900 + "}", LIMIT),
    "field duplication by fragments": (
        "{"
        + "".join(f" ...f{n}" for n in range(49))
        + "}"
        + "".join(f" fragment f{n} on Query {{ orders {{ nodes {{ id }} }} }}" for n in range(49)),
        LIMIT,
    ),
    "field duplication in a fragment that nothing spreads": (
        "{ __typename } fragment unused on Query {" + " __typename" * 900 + "}",
        LIMIT,
    ),
    "field duplication in a fragment behind another one of its name": (
        "{ ...a } fragment a on Query {" + " __typename" * 900 + "} fragment a on Query { __typename }",
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "field duplication in several operations": (
        "".join(f"query q{n} {{" + " __typename" * 40 + "} " for n in range(19)),
        LIMIT,
    ),
    "deep nesting": ("{ a" * 60 + "}" * 60, LIMIT),
    "very deep nesting": ("{ a" * 20_000 + "}" * 20_000, LIMIT),
    "deep inline fragments": ("{" + "... {" * 400 + "__typename" + "}" * 401, LIMIT),
    "deep values": (f"{{ order(id: {'[' * 450}{']' * 450}) {{ id }} }}", LIMIT),
    "fan-out through fragments": (fragments(40), LIMIT),
    "fan-out to nothing": (fragments(40).replace("__typename", ""), LIMIT),
    "fragment flood": ("".join(f"fragment f{n} on Query {{ __typename }} " for n in range(100)) + "{ ...f0 }", LIMIT),
    "operation flood": ("".join(f"query q{n} {{ __typename }} " for n in range(100)), LIMIT),
    "token flood": ("{" + " orders" * 10_000 + "}", LIMIT),
    "comment flood": ("#\n" * 20_000 + "{ __typename }", LIMIT),
    "character flood": ("{ __typename }" + " " * 100_000, LIMIT),
    "cyclic fragments": (
        "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
        "GRAPHQL_VALIDATION_FAILED",
    ),
    "unknown fields": ("{" + " unknown" * 30 + "}", "GRAPHQL_VALIDATION_FAILED"),
    "introspection": ("{ __schema { types { name } } }", "INTROSPECTION_OFF"),
    "introspection of a type": ('{ __type(name: "Order") { name } }', "INTROSPECTION_OFF"),
    "introspection in a fragment": (
        "{ ...a } fragment a on Query { x: __schema { types { name } } }",
        "INTROSPECTION_OFF",
    ),
    "nested lists": (
        "{ orders(first: 100) { nodes { history(first: 100) { nodes { id } } } } }",
        "COST_LIMIT",
    ),
    "lists again and again": (
        "{" + "".join(f" a{n}: orders(first: 100) {{ nodes {{ id }} }}" for n in range(50)) + "}",
        "COST_LIMIT",
    ),
    "long integer": ("{ orders(first: %s) { nodes { id } } }" % ("9" * 5000), "BAD_INPUT"),
}


@pytest.mark.parametrize(("document", "code"), ATTACKS.values(), ids=ATTACKS)
async def test_a_document_is_refused_by_post(attacked: Attacked, document: str, code: str) -> None:
    assert await attacked.code(document) == code


@pytest.mark.parametrize(("document", "code"), ATTACKS.values(), ids=ATTACKS)
async def test_a_document_is_refused_over_a_socket_which_goes_on(attacked: Attacked, document: str, code: str) -> None:
    async with attacked.socket() as socket:
        await socket.send_json({"type": "subscribe", "id": "1", "payload": {"query": document}})
        answer = await socket.receive_json()
        payload = answer["payload"]
        errors = payload if answer["type"] == "error" else payload["errors"]
        assert errors[0]["extensions"]["code"] == code
        await socket.send_json({"type": "subscribe", "id": "2", "payload": {"query": "{ __typename }"}})
        told = await socket.receive_json()
        assert (told["id"], told["payload"]["data"]) == ("2", {"__typename": "Query"})


async def test_page_sizes_by_variables_count(attacked: Attacked) -> None:
    document = "query($n: Int, $m: Int = 100) { orders(first: $n) { nodes { history(first: $m) { nodes { id } } } } }"
    assert await attacked.code(document, {"n": 100}) == "COST_LIMIT"
    assert await attacked.code(document, {"n": 2**31}) == "COST_LIMIT"
    assert await attacked.code(document, {"n": 2}) is None
    assert await attacked.code(document, {"n": 100, "m": 1}) is None


async def test_many_hostile_documents_at_once_are_all_refused(attacked: Attacked) -> None:
    unlike = ["{" + " ".join(f"a{n}x{m}: __typename" for m in range(200)) + "}" for n in range(100)]
    assert set(await asyncio.gather(*map(attacked.code, unlike))) == {LIMIT}


async def test_names_that_were_meant_are_not_told(attacked: Attacked) -> None:
    for document in (
        "{ order(id: 1) { statuss } }",
        "{ orderz { id } }",
        "{ orders(firts: 1) { nodes { id } } }",
        "{ orders(filter: {statuz: DRAFT}) { nodes { id } } }",
        "query($f: OrderFiltre) { orders(filter: $f) { nodes { id } } }",
    ):
        _, answer = await attacked.post({"query": document})
        assert "did you mean" not in str(answer).lower(), answer
    _, answer = await attacked.post(
        {"query": "query($f: OrderFilter) { orders(filter: $f) { nodes { id } } }", "variables": {"f": {"statuz": 1}}}
    )
    assert ("errors" in answer, "did you mean" in str(answer).lower()) == (True, False), answer
