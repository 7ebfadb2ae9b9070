"""A file in the making: FILE.part with the lines, and FILE.state that says how many of its bytes count.

Lines are flushed before the state that counts them is written, and whatever lies behind them is cut off when the work
is taken up again. FILE itself appears when it is complete.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from time import monotonic
from typing import Annotated, BinaryIO

import msgspec

from gateway.transfer.file import (
    FORMAT,
    VERSION,
    Header,
    Line,
    Summary,
    Trailer,
    TransferFailed,
    check_header,
    decoded,
    encode,
    raw_lines,
)
from store import ContainerSpec

SAVE_S = 1.0
"""How much work may have to be done again, in seconds."""
SEEN_BYTES = 64 * 1024 * 1024

Key = tuple[str, str]


class State(msgspec.Struct):
    """How far an export of the store `source` has come: the bytes that count, and the cursors behind them by range."""

    source: str
    size: Annotated[int, msgspec.Meta(ge=0)] = 0
    cursors: dict[str, str | None] = {}


class Seen:
    """Tells whether a document may have been there before: never a wrong no, and in fixed memory (a Bloom filter).

    With ten million documents, one in 40,000 is a wrong yes.
    """

    def __init__(self) -> None:
        self._bits = bytearray(SEEN_BYTES)

    def add(self, key: Key) -> bool:
        """Take note of it; whether it may have been there before."""
        digest = blake2b("\0".join(key).encode(), digest_size=16).digest()
        before = True
        for start in range(0, 16, 4):
            bit = int.from_bytes(digest[start : start + 4], "big") % (SEEN_BYTES * 8)
            mask = 1 << (bit & 7)
            before = before and bool(self._bits[bit >> 3] & mask)
            self._bits[bit >> 3] |= mask
        return before


class Part:
    """The unfinished export; made by `unfinished`."""

    def __init__(self, file: Path, lines: BinaryIO) -> None:
        self._file = file
        self._path, self._state_path = _paths(file)
        self._lines = lines
        self._seen = Seen()
        self._again: set[Key] = set()
        self._saved_at = 0.0
        self.summary = Summary()
        self.state = _read_state(file)

    def begin(self, spec: ContainerSpec) -> None:
        """Continue behind what is known to be there, or write the first line."""
        self._lines.truncate(self.state.size)
        for number, raw in raw_lines(self._lines, self._path, self.state.size):
            if number == 1:
                check_header(raw, self._path, spec)
                self.summary.add(raw)
            else:
                self._note(raw, decoded(raw, Line, f"{self._path}: line {number} is damaged; {_anew(self._file)}"))
        if self.state.size == 0:
            header = encode(Header(FORMAT, VERSION, spec.name))
            self._lines.write(header)
            self.summary.add(header)

    def append(self, lines: Iterable[Line]) -> None:
        """Add the lines."""
        for line in lines:
            raw = encode(line)
            self._lines.write(raw)
            self._note(raw, line)

    def reached(self, range_id: str, cursor: str) -> None:
        """Take note that the feed of the range has been added up to `cursor`; durable by `save`, or SAVE_S later."""
        self.state.cursors[range_id] = cursor
        if monotonic() - self._saved_at > SAVE_S:
            self.save()

    def save(self) -> None:
        """Make all that was appended durable, so that it need not be done again."""
        _flush(self._lines)
        self.state.size = self._lines.tell()
        _write_state(self._file, self.state)
        self._saved_at = monotonic()

    def finish(self) -> Trailer:
        """Leave the latest line of each document, add the last line, and give the file its name."""
        self.save()
        counts = self._count_again()
        if counts:
            trailer = self._rewrite(counts)
        else:
            trailer = self.summary.trailer()
            self._lines.write(encode(trailer))
            _flush(self._lines)
            os.replace(self._path, self._file)
        _sync_folder(self._file)
        for path in (self._path, self._state_path):
            path.unlink(missing_ok=True)
        return trailer

    def _note(self, raw: bytes, line: Line) -> None:
        self.summary.add(raw, line.kind)
        if self._seen.add(line.key):
            self._again.add(line.key)

    def _documents(self) -> Iterator[tuple[bytes, Line]]:
        for number, raw in raw_lines(self._lines, self._path, self.state.size):
            if number > 1:
                yield raw, decoded(raw, Line, f"{self._path}: line {number} is damaged")

    def _count_again(self) -> Counter[Key]:
        """How many lines each document has that has more than one."""
        if not self._again:
            return Counter()
        counts = Counter(line.key for _, line in self._documents() if line.key in self._again)
        return Counter({key: count for key, count in counts.items() if count > 1})

    def _rewrite(self, counts: Counter[Key]) -> Trailer:
        """The file without the lines that a later one of the same document has overtaken."""
        summary = Summary()
        temporary = Path(f"{self._path}.new")
        with open(temporary, "wb") as file:
            _, header = next(raw_lines(self._lines, self._path, self.state.size))
            summary.add(header)
            file.write(header)
            for raw, line in self._documents():
                if counts[line.key] > 1:
                    counts[line.key] -= 1
                    continue
                summary.add(raw, line.kind)
                file.write(raw)
            file.write(encode(trailer := summary.trailer()))
            _flush(file)
        os.replace(temporary, self._file)
        return trailer


@contextmanager
def unfinished(file: Path, source: str, spec: ContainerSpec) -> Iterator[Part]:
    """The export to `file` from the store `source`, new or as an interrupted run left it, for one process at a time.

    Raises TransferFailed if the file is there already, if what an interrupted run left cannot be continued, and for
    what the file system refuses while in the context.
    """
    path, state_path = _paths(file)
    try:
        if file.exists():
            raise TransferFailed(f"{file} exists already; nothing was changed. Name another file, or move it away")
        if not state_path.exists():
            if path.exists():
                raise TransferFailed(f"{path} exists, and is not of an export; nothing was changed")
            _write_state(file, State(source))
        with open(path, "a+b") as lines:
            _lock(lines, file)
            part = Part(file, lines)
            if part.state.source != source:
                raise TransferFailed(f"{path} was begun from {part.state.source}; {_anew(file)}")
            if part.state.size > path.stat().st_size:
                raise TransferFailed(f"{path} is shorter than {state_path} says; {_anew(file)}")
            part.begin(spec)
            yield part
    except OSError as error:
        raise TransferFailed(f"{file} cannot be written: {error.strerror}; run it again to continue") from error


def _lock(lines: BinaryIO, file: Path) -> None:
    try:
        fcntl.flock(lines, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise TransferFailed(f"another process is exporting to {file} at the moment") from error


def _paths(file: Path) -> tuple[Path, Path]:
    return Path(f"{file}.part"), Path(f"{file}.state")


def _anew(file: Path) -> str:
    return f"remove {' and '.join(map(str, _paths(file)))} to begin anew"


def _read_state(file: Path) -> State:
    _, path = _paths(file)
    return decoded(path.read_bytes(), State, f"{path} cannot be read; {_anew(file)}")


def _write_state(file: Path, state: State) -> None:
    _, path = _paths(file)
    temporary = Path(f"{path}.new")
    with open(temporary, "wb") as new:
        new.write(msgspec.json.encode(state))
        _flush(new)
    os.replace(temporary, path)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(file: Path) -> None:
    """Make a new name durable."""
    folder = os.open(file.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
