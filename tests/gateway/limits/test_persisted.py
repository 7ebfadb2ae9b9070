"""Documents by their hashes: those that clients have sent, those of the client's build, and nothing else if so set."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from gateway.app import create_app
from gateway.execution import NotExecutable, Operation
from gateway.limits import persisted as persisted_module
from gateway.limits.configured import limits_of
from gateway.limits.persisted import Persisted
from gateway.settings import BadSettings, Settings
from tests.gateway.edge import Edge, open_edge

DOCUMENT = "query Typename { __typename }"
OTHER = "{ other: __typename }"


def hash_of(document: str) -> str:
    return sha256(document.encode()).hexdigest()


def automatic(document: str, *, sent: bool = False, **more: Any) -> dict[str, Any]:
    """A request as Apollo's clients make it: the hash first, and the document if that is not known."""
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": hash_of(document), **more}}
    return {"extensions": extensions} | ({"query": document} if sent else {})


async def outcome(edge: Edge, request: dict[str, Any]) -> Any:
    """The status and the data or the code that a request is answered with."""
    status, text = await edge.post(request)
    answer = json.loads(text)
    return status, answer["errors"][0]["extensions"]["code"] if "errors" in answer else answer["data"]


TYPENAME = (200, {"__typename": "Query"})


async def test_a_document_that_was_sent_once_is_known_by_its_hash(edge: Edge) -> None:
    assert await outcome(edge, automatic(DOCUMENT)) == (400, "PERSISTED_QUERY_NOT_FOUND")
    assert await outcome(edge, automatic(DOCUMENT, sent=True)) == TYPENAME
    assert await outcome(edge, automatic(DOCUMENT)) == TYPENAME
    assert await outcome(edge, {"documentId": f"sha256:{hash_of(DOCUMENT)}"}) == TYPENAME
    parameters = {"extensions": json.dumps(automatic(DOCUMENT)["extensions"])}
    status, text = await edge.get("/graphql", **parameters)
    assert (status, json.loads(text)["data"]) == TYPENAME


async def test_apollos_clients_are_told_in_the_words_that_they_look_for(edge: Edge) -> None:
    _, text = await edge.post(automatic(OTHER))
    assert json.loads(text)["errors"][0]["message"] == "PersistedQueryNotFound"


@pytest.mark.parametrize(
    ("extension", "code"),
    [
        (automatic(DOCUMENT, sent=True, sha256Hash=hash_of(OTHER)), "PERSISTED_QUERY_HASH_MISMATCH"),
        (automatic(DOCUMENT, sent=True, version=2), "BAD_REQUEST"),
        (automatic(DOCUMENT, sent=True, sha256Hash=5), "BAD_REQUEST"),
        ({"query": DOCUMENT, "extensions": {"persistedQuery": None}}, "BAD_REQUEST"),
        ({"query": "\ud800", "extensions": automatic(DOCUMENT)["extensions"]}, "PERSISTED_QUERY_HASH_MISMATCH"),
        ({"documentId": "nonsense"}, "PERSISTED_QUERY_NOT_FOUND"),
    ],
)
async def test_what_is_no_persisted_document_is_refused(edge: Edge, extension: dict[str, Any], code: str) -> None:
    assert await outcome(edge, extension) == (400, code)


async def test_documents_are_known_by_their_hashes_over_sockets_too(edge: Edge) -> None:
    async with edge.websocket() as socket:
        await socket.send_json({"type": "connection_init"})
        await socket.receive_json()
        for id, request in enumerate((automatic(DOCUMENT), automatic(DOCUMENT, sent=True), automatic(DOCUMENT))):
            await socket.send_json({"type": "subscribe", "id": str(id), "payload": request})
        told = [await socket.receive_json() for _ in range(5)]
        assert told[0]["payload"][0]["extensions"] == {"code": "PERSISTED_QUERY_NOT_FOUND"}
        assert [one["payload"]["data"] for one in told if one["type"] == "next"] == [TYPENAME[1]] * 2


def test_only_so_many_documents_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persisted_module, "MAX_CHARACTERS", 300)
    persisted = Persisted()

    def found(document: str, *, sent: bool) -> bool:
        request = automatic(document)
        operation = Operation(document if sent else "", extensions=request["extensions"])
        try:
            operation = persisted.found(operation)
            persisted.keep(operation)
        except NotExecutable:
            return False
        return operation.query == document

    documents = [f"{{ a{number:02}: __typename }}" for number in range(20)]
    for document in documents:
        assert found(document, sent=True)
        assert found(documents[0], sent=False)
    assert [found(document, sent=False) for document in documents[1:3]] == [False, False]
    assert found("{ long: __typename }" + " " * 20, sent=True)
    assert not found("{ long: __typename }" + " " * 20, sent=False)


@pytest.mark.parametrize("document", ["{ wrong }", "{", "{ orders(first: 1) { nodes { id } } }"])
async def test_what_was_not_executed_is_not_known_by_its_hash(document: str) -> None:
    async with open_edge(rate_per_identity=2.0) as edge:  # 20 at once, which is what a new document costs
        await outcome(edge, automatic(document, sent=True))
    async with open_edge() as edge:
        for request in (automatic(document, sent=True), automatic(document)):
            told = await outcome(edge, request)
        wrong = "wrong" in document or document == "{"
        assert (told == (400, "PERSISTED_QUERY_NOT_FOUND")) == wrong


async def test_what_a_stream_is_resumed_by_is_not_known_by_the_hash_of_another() -> None:
    persisted = Persisted()
    persisted.keep(Operation(OTHER, extensions=automatic(DOCUMENT)["extensions"]))
    with pytest.raises(NotExecutable):
        persisted.found(Operation(extensions=automatic(DOCUMENT)["extensions"]))


APOLLO = {
    "format": "apollo-persisted-query-manifest",
    "version": 1,
    "operations": [{"id": hash_of(DOCUMENT), "name": "Typename", "type": "query", "body": DOCUMENT}],
}
MANIFESTS: dict[str, Any] = {
    "Apollo's": APOLLO,
    "Relay's and GraphQL Code Generator's": {hash_of(DOCUMENT): DOCUMENT},
    "with prefixes": {f"sha256:{hash_of(DOCUMENT)}": DOCUMENT},
}


@pytest.mark.parametrize("manifest", MANIFESTS.values(), ids=MANIFESTS)
async def test_only_documents_of_the_build_are_executed(tmp_path: Path, manifest: Any) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(manifest))
    async with open_edge(trusted_documents=file, trusted_only=True) as edge:
        for request in (
            {"documentId": f"sha256:{hash_of(DOCUMENT)}"},
            {"documentId": hash_of(DOCUMENT)},
            {"query": DOCUMENT},
            automatic(DOCUMENT),
        ):
            assert await outcome(edge, request) == TYPENAME
        for request in (
            {"query": OTHER},
            {"query": DOCUMENT + " "},
            {"query": ""},
            {"documentId": f"sha256:{hash_of(OTHER)}"},
            automatic(OTHER, sent=True),
            automatic(OTHER),
        ):
            assert await outcome(edge, request) == (400, "DOCUMENT_NOT_TRUSTED")
        async with edge.websocket() as socket:
            await socket.send_json({"type": "connection_init"})
            await socket.receive_json()
            await socket.send_json({"type": "subscribe", "id": "1", "payload": {"query": OTHER}})
            told = await socket.receive_json()
            assert told["payload"][0]["extensions"] == {"code": "DOCUMENT_NOT_TRUSTED"}
        async with edge.http.post(f"{edge.url}/graphql/stream", json={"query": OTHER}) as answer:
            assert answer.status == 400


async def test_other_documents_are_executed_too_unless_only_those_may_be(tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(APOLLO))
    async with open_edge(trusted_documents=file) as edge:
        assert await outcome(edge, {"documentId": hash_of(DOCUMENT)}) == TYPENAME
        assert await outcome(edge, {"query": OTHER}) == (200, {"other": "Query"})


BAD = {
    "missing": (None, "cannot be read"),
    "no JSON": ("{", "is not JSON"),
    "an array": ("[]", "is no object"),
    "empty": ("{}", "has no documents"),
    "another format": ('{"format": "x", "version": 1, "operations": []}', "has another format"),
    "another version": ('{"format": "apollo-persisted-query-manifest", "version": 2}', "has another format"),
    "no text": ('{"a": 5}', "has no documents, or one without"),
    "no body": (
        '{"format": "apollo-persisted-query-manifest", "version": 1, "operations": [{"id": "a"}]}',
        "has no documents, or one without",
    ),
    "not valid": ('{"a": "{ nothing }"}', "a: Cannot query field 'nothing'"),
    "too large": (json.dumps({"a": "{" + " __typename" * 900 + "}"}), "a: The document selects the same fields"),
}


@pytest.mark.parametrize(("text", "why"), BAD.values(), ids=BAD)
def test_a_file_that_cannot_be_used_is_named_when_it_is_read(tmp_path: Path, text: str | None, why: str) -> None:
    file = tmp_path / "manifest.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(BadSettings) as refused:
        create_app(Settings(trusted_documents=file, store_url="sqlite:///:memory:"))
    assert str(refused.value).startswith("TRUSTED_DOCUMENTS: ")
    assert why in str(refused.value)


def test_trusting_nothing_else_needs_a_file() -> None:
    with pytest.raises(BadSettings, match="TRUSTED_ONLY: needs TRUSTED_DOCUMENTS"):
        limits_of(Settings(trusted_only=True))
