"""The exported file: JSON lines, of which the first says what it is, and the last what must be in it.

    {"format":"gateway-export","version":1,"container":"orders"}
    {"partition":"ada","id":"cmd:1","body":{"kind":"command", ...},"ttl":86400}
    {"documents":1,"kinds":{"command":1},"sha256":"<of all lines above>"}

`body` is without what names the document, and `ttl` is there where it expires: seconds it had left when it was
exported. Each document is there once.
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeVar

import msgspec

from store import ContainerSpec, Create, Document
from store.port import added, check_writes

FORMAT = "gateway-export"
VERSION = 1
MAX_LINE = 32 * 1024 * 1024
"""Bytes in a line: more than a document of 2 MB can become."""
MAX_LAST_LINE = 64 * 1024
WINDOW = 5000
"""Lines that are read at a time, unless they are more than WINDOW_BYTES."""
WINDOW_BYTES = 32 * 1024 * 1024
OTHER = "other"

T = TypeVar("T")


class TransferFailed(Exception):
    """Documents could not be moved; the message says in a sentence why, and what would help."""


class Header(msgspec.Struct):
    """The first line."""

    format: str
    version: int
    container: str


class Line(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """A document."""

    partition: str
    id: str
    body: dict[str, Any]
    ttl: Annotated[int, msgspec.Meta(ge=1)] | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What names the document in its container."""
        return self.partition, self.id

    @property
    def kind(self) -> str:
        """The discriminator of its body."""
        return kind_of(self.body)


class Trailer(msgspec.Struct):
    """The last line."""

    documents: int
    kinds: dict[str, int]
    sha256: str


class Summary:
    """What the last line says, gathered line by line."""

    def __init__(self) -> None:
        self._kinds: Counter[str] = Counter()
        self._digest = sha256()

    @property
    def documents(self) -> int:
        """How many there are."""
        return self._kinds.total()

    def add(self, raw: bytes, kind: str | None = None) -> None:
        """Take note of a line; the first has no `kind`, for it is no document."""
        self._digest.update(raw)
        if kind is not None:
            self._kinds[kind] += 1

    def trailer(self) -> Trailer:
        """The last line, after all that was added."""
        return Trailer(self.documents, dict(sorted(self._kinds.items())), self._digest.hexdigest())


def kind_of(body: dict[str, Any]) -> str:
    """The discriminator of a stored body."""
    kind = body.get("kind")
    return kind if isinstance(kind, str) else OTHER


def line_of(document: Document, spec: ContainerSpec, now: float) -> Line:
    """The document as a line; `now` in seconds since the epoch."""
    ttl = None if document.expires is None else max(1, ceil(document.expires - now))
    return Line(document.partition, document.id, own(document, spec), ttl)


def own(document: Document, spec: ContainerSpec) -> dict[str, Any]:
    """The content of a document without its id and its partition key."""
    return {name: value for name, value in document.content().items() if name not in ("id", spec.partition_key)}


def encode(line: Header | Line | Trailer) -> bytes:
    """The line with its end."""
    return msgspec.json.encode(line) + b"\n"


# ---------------------------------------------------------------------------------------------------- reading


def raw_lines(file: BinaryIO, name: Path, end: int) -> Iterator[tuple[int, bytes]]:
    """The lines from the beginning up to offset `end`, numbered from 1. Raises TransferFailed for one too long."""
    file.seek(0)
    number = 0
    while file.tell() < end:
        number += 1
        raw = file.readline(MAX_LINE)
        if not raw.endswith(b"\n"):
            raise TransferFailed(f"{name}: line {number} has no end: the file is damaged")
        yield number, raw


def decoded(raw: bytes, type: type[T], otherwise: str) -> T:
    """A line as `type`. Raises TransferFailed, which says `otherwise`, for what is none."""
    try:
        return msgspec.json.decode(raw, type=type)
    except (ValueError, RecursionError) as error:
        raise TransferFailed(f"{otherwise} ({error})") from error


def check_header(raw: bytes, name: Path, spec: ContainerSpec) -> None:
    """Raise TransferFailed unless this is the first line of an export of that container."""
    header = decoded(raw, Header, f"{name} is not an export of this program")
    if header.format != FORMAT:
        raise TransferFailed(f"{name} is not an export of this program")
    if header.version != VERSION:
        raise TransferFailed(f"{name} has format {header.version}, this program knows format {VERSION}")
    if header.container != spec.name:
        raise TransferFailed(f"{name} is an export of container {header.container!r}, not of {spec.name!r}")


def read_trailer(file: BinaryIO, name: Path) -> tuple[Trailer, int]:
    """The last line and its offset. Raises TransferFailed if the file ends before it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - MAX_LAST_LINE))
    last = file.read().removesuffix(b"\n").rpartition(b"\n")[2] + b"\n"
    return decoded(last, Trailer, f"{name} is not complete, for its last line is missing: export it again"), size - len(
        last
    )


@contextmanager
def opened(name: Path, spec: ContainerSpec) -> Iterator["Export"]:
    """The file of that name. Raises TransferFailed unless its first and last line are those of a complete export."""
    if not name.is_file():
        raise TransferFailed(f"{name} {'is not a regular file' if name.exists() else 'does not exist'}")
    try:
        with open(name, "rb") as file:
            yield Export(file, name, spec)
    except OSError as error:
        raise TransferFailed(f"{name} cannot be read: {error.strerror}") from error


class Export:
    """A complete file, open for reading; made by `opened`."""

    def __init__(self, file: BinaryIO, name: Path, spec: ContainerSpec) -> None:
        self._file = file
        self._name = name
        self._spec = spec
        check_header(file.readline(MAX_LINE), name, spec)
        self.trailer, self._end = read_trailer(file, name)

    def windows(self) -> Iterator[list[Line]]:
        """The documents in order, a bounded number at a time. Raises TransferFailed for a line that is none."""
        for numbered in self._windows():
            yield [self._line(number, raw) for number, raw in numbered if number > 1]

    def check(self) -> Iterator[int]:
        """Read all of it, and say for each window how many documents were in it.

        Raises TransferFailed if a line is no document that can be stored, or the last line is not about the others.
        """
        summary = Summary()
        for numbered in self._windows():
            before = summary.documents
            for number, raw in numbered:
                summary.add(raw, None if number == 1 else self._checked(number, raw).kind)
            yield summary.documents - before
        if summary.trailer() != self.trailer:
            raise TransferFailed(f"{self._name} is not as it was exported: its last line is about other lines")

    def _windows(self) -> Iterator[list[tuple[int, bytes]]]:
        window, size = [], 0
        for number, raw in raw_lines(self._file, self._name, self._end):
            window.append((number, raw))
            size += len(raw)
            if len(window) >= WINDOW or size >= WINDOW_BYTES:
                yield window
                window, size = [], 0
        yield window

    def _line(self, number: int, raw: bytes) -> Line:
        return decoded(raw, Line, f"{self._name}: line {number} is no document")

    def _checked(self, number: int, raw: bytes) -> Line:
        line = self._line(number, raw)
        if reserved := [name for name in line.body if added(name) or name in ("id", self._spec.partition_key)]:
            raise TransferFailed(f"{self._name}: line {number} has a {reserved[0]!r} in its body, which is the store's")
        try:
            check_writes(line.partition, [Create(line.id, line.body)])
        except ValueError as error:
            raise TransferFailed(f"{self._name}: line {number} cannot be stored: {error}") from error
        return line
