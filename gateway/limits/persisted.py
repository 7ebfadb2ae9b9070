"""Documents that are asked for by their hash: those of the client's build, and those that clients have sent before.

https://github.com/graphql/graphql-over-http/blob/main/spec/Appendix%20A%20--%20Persisted%20Documents.md
https://www.apollographql.com/docs/apollo-server/performance/apq
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from gateway.execution.operation import NotExecutable, Operation
from gateway.limits.recent import Recent

MAX_CHARACTERS = 1_000_000
"""In all documents that clients have sent, those forgotten that were not asked for lately."""
PREFIX = "sha256:"
APOLLO = "apollo-persisted-query-manifest"


class BadManifest(Exception):
    """The file of trusted documents cannot be used; the message says why."""


class Persisted:
    """Finds the document of an operation that names it, and refuses others if `only` trusted ones may be executed."""

    def __init__(self, trusted: Mapping[str, str] | None = None, *, only: bool = False) -> None:
        self.trusted = trusted or {}
        """Documents by their hashes, or other ids."""
        self._texts = frozenset(self.trusted.values())
        self._only = only
        self._sent: Recent[str, str] = Recent(MAX_CHARACTERS)

    def found(self, operation: Operation) -> Operation:
        """The operation with its document. Raises NotExecutable."""
        if operation.document_id is None and not (operation.extensions and "persistedQuery" in operation.extensions):
            if self._only and operation.query not in self._texts:
                raise NotExecutable("Only documents of the client's build are executed.", "DOCUMENT_NOT_TRUSTED")
            return operation
        hash = _hash_of(operation.extensions) if operation.document_id is None else operation.document_id
        return msgspec.structs.replace(operation, query=self._document(hash.removeprefix(PREFIX), operation.query))

    def _document(self, hash: str, given: str) -> str:
        trusted = self.trusted.get(hash) or self.trusted.get(PREFIX + hash)
        if trusted is not None:
            return trusted
        if self._only:
            raise NotExecutable("Only documents of the client's build are executed.", "DOCUMENT_NOT_TRUSTED")
        if given:
            if _sha256(given) != hash:
                raise NotExecutable("The hash is not the document's.", "PERSISTED_QUERY_HASH_MISMATCH")
            return given
        known = self._sent.get(hash)
        if known is None:
            raise NotExecutable("PersistedQueryNotFound", "PERSISTED_QUERY_NOT_FOUND")
        return known

    def keep(self, operation: Operation) -> None:
        """Keep the document of an operation for those who ask for it by its hash, if it was sent with that."""
        match operation.extensions:
            case {"persistedQuery": {"sha256Hash": str(hash)}} if hash not in self._sent and hash not in self.trusted:
                if hash == _sha256(operation.query):
                    self._sent.keep(hash, operation.query, len(operation.query))


def _sha256(document: str) -> str:
    return sha256(document.encode("utf-8", "surrogatepass")).hexdigest()


def _hash_of(extensions: Mapping[str, Any] | None) -> str:
    match (extensions or {}).get("persistedQuery"):
        case {"version": 1, "sha256Hash": str(hash)}:
            return hash
        case _:
            raise NotExecutable("`persistedQuery` has a `version`, which is 1, and a `sha256Hash`.", "BAD_REQUEST")


def read_manifest(path: Path) -> dict[str, str]:
    """The documents of a client's build by their ids: in Apollo's format, or as Relay and GraphQL Code Generator do.

    Raises BadManifest.
    """
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise BadManifest(f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadManifest("is not JSON") from error
    documents: dict[str, str]
    match manifest:
        case {"format": str(kind), "version": 1, "operations": list(operations)} if kind == APOLLO:
            documents = {one.get("id", ""): one.get("body", "") for one in operations if isinstance(one, dict)}
        case {"format": _}:
            raise BadManifest(f"has another format than {APOLLO}, version 1")
        case dict():
            documents = manifest
        case _:
            raise BadManifest("is no object of documents by their hashes")
    if not documents or not all(isinstance(text, str) and text for pair in documents.items() for text in pair):
        raise BadManifest("has no documents, or one without an id or a text")
    return documents
