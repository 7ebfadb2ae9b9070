"""Files that are not as they should be: each is told in a sentence, and nothing is written because of it."""

import json
import os
import resource
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.transfer import TransferFailed
from gateway.transfer.file import opened as reading
from gateway.transfer.part import unfinished
from store import Start
from tests.gateway.moving import HEADER, Json, documents, export, forged, import_, kept, order_line, shop, world_on
from tests.projector.world import World
from write_model import orders

MEGABYTE = 1024 * 1024


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """What is about files is the same on every engine."""
    async with world_on("memory") as world:
        yield world


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orders.jsonl"


# ---------------------------------------------------------------------------------------------------- importing

WHOLE = (order_line(1), order_line(2), order_line(3))


def changed(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """Makes a file that was right, and was changed."""
    return lambda file: file.write_bytes(change(forged(file, *WHOLE).read_bytes()))


def made(*given: Json | bytes, header: Json = HEADER, **last: object) -> Callable[[Path], object]:
    """Makes a file whose digest is right."""
    return lambda file: forged(file, *given, header=header, **last)


def without(number: int) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        del lines[number]
        return b"".join(lines)

    return change


def body(**properties: object) -> Json:
    return order_line(2, body={"kind": "order", **properties})


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda file: None, "orders.jsonl does not exist"),
    "a folder": (lambda file: file.mkdir(), "orders.jsonl is not a regular file"),
    "a pipe": (lambda file: os.mkfifo(file), "orders.jsonl is not a regular file"),
    "empty": (lambda file: file.touch(), "is not an export of this program"),
    "binary": (lambda file: file.write_bytes(bytes(range(256)) * 99), "is not an export of this program"),
    "zeros": (lambda file: file.write_bytes(bytes(MEGABYTE)), "is not an export of this program"),
    "other JSON": (lambda file: file.write_text('{"hello": 1}\n'), "is not an export of this program"),
    "not of ours": (made(header=HEADER | {"format": "x"}), "is not an export of this program"),
    "a newer format": (made(header=HEADER | {"version": 2}), "has format 2, this program knows format 1"),
    "another container": (made(header=HEADER | {"container": "x"}), "is an export of container 'x', not of 'orders'"),
    "the first line alone": (lambda file: file.write_text(json.dumps(HEADER) + "\n"), "is not complete"),
    "without its first line": (changed(without(0)), "is not an export of this program"),
    "without its last line": (changed(without(-1)), "is not complete, for its last line is missing"),
    "without a line": (changed(without(2)), "its last line is about other lines"),
    "cut in the last line": (changed(lambda content: content[:-30]), "is not complete"),
    "cut in the middle": (changed(lambda content: content[: len(content) // 2]), "is not complete"),
    "a changed value": (changed(lambda content: content.replace(b"ada:2", b"ada:7")), "is about other lines"),
    "something behind": (changed(lambda content: content + b"x\n"), "is not complete"),
    "two files in one": (changed(lambda content: content + content), "line 5 is no document"),
    "wrong counts": (made(*WHOLE, documents=4), "its last line is about other lines"),
    "wrong kinds": (made(*WHOLE, kinds={"order": 2, "command": 1}), "its last line is about other lines"),
    "a line that is no JSON": (made(order_line(1), b"{"), "line 3 is no document"),
    "an empty line": (made(order_line(1), b""), "line 3 is no document"),
    "a line that is a list": (made(b"[]"), "line 2 is no document"),
    "no partition": (made(b'{"id":"x","body":{}}'), "line 2 is no document"),
    "a body that is no object": (made(order_line(1, body=7)), "line 2 is no document"),
    "more than a document": (made(order_line(1, etag="7")), "line 2 is no document"),
    "a TTL of zero": (made(order_line(1, ttl=0)), "line 2 is no document"),
    "bottomless nesting": (made(b'{"partition":"a","id":"b","body":' + b'{"x":' * 200_000), "line 2 is no document"),
    "no UTF-8": (made(b'{"partition":"\xff","id":"b","body":{}}'), "line 2 is no document"),
    "a long line": (made(b" " * 33 * MEGABYTE), "line 2 has no end"),
    "an id of the store's": (made(body(id="order:ada:9")), "line 2 has a 'id' in its body"),
    "a partition key of the store's": (made(body(customerId="eve")), "line 2 has a 'customerId' in its body"),
    "a TTL of the store's": (made(body(ttl=1)), "line 2 has a 'ttl' in its body"),
    "an etag of the store's": (made(body(_etag="x")), "line 2 has a '_etag' in its body"),
    "an id that cannot be": (made(order_line(1), order_line(1, id="a/b")), "line 3 cannot be stored"),
    "a long id": (made(order_line(1, id="x" * 1024)), "line 2 cannot be stored"),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_file_that_is_no_whole_export_is_told_before_anything_is_written(
    world: World, file: Path, kind: str
) -> None:
    make, told = HOSTILE[kind]
    make(file)
    with pytest.raises(TransferFailed) as failed:
        await import_(world, file)
    assert told in str(failed.value)
    assert len(str(failed.value)) < 500
    assert await kept(world) == {}


async def test_a_file_that_is_as_it_should_be_is_taken(world: World, file: Path) -> None:
    await import_(world, forged(file, *WHOLE, order_line(4, ttl=10)))
    assert len(await kept(world)) == 4


def test_a_file_that_fails_while_it_is_read_is_told(file: Path) -> None:
    forged(file, *WHOLE)
    with pytest.raises(TransferFailed, match="cannot be read: Input/output error"), reading(file, orders.CONTAINER):
        raise OSError(5, "Input/output error")


# ---------------------------------------------------------------------------------------------------- exporting


async def test_a_file_that_exists_is_not_overwritten(world: World, file: Path) -> None:
    forged(file, *WHOLE)
    with pytest.raises(TransferFailed, match="exists already; nothing was changed"):
        await export(world, file)
    assert len(documents(file)) == 3


async def test_a_part_of_another_program_is_not_overwritten(world: World, file: Path) -> None:
    part = file.with_name("orders.jsonl.part")
    part.write_text("a letter")
    with pytest.raises(TransferFailed, match=r"orders.jsonl.part exists, and is not of an export"):
        await export(world, file)
    assert part.read_text() == "a letter"


async def test_a_folder_that_does_not_exist_is_told(world: World, tmp_path: Path) -> None:
    with pytest.raises(TransferFailed, match="cannot be written: No such file or directory"):
        await export(world, tmp_path / "no" / "such" / "folder")


async def test_two_processes_do_not_export_to_one_file(world: World, file: Path) -> None:
    with (
        unfinished(file, "here", orders.CONTAINER),
        pytest.raises(TransferFailed, match="another process is exporting to "),
    ):
        await export(world, file)


def interrupted(file: Path, source: str = "here") -> tuple[Path, Path]:
    """What an export leaves that is interrupted at its beginning."""
    with unfinished(file, source, orders.CONTAINER) as part:
        part.save()
    return Path(f"{file}.part"), Path(f"{file}.state")


def spoilt_state(file: Path) -> None:
    interrupted(file)[1].write_text("{")


def negative_state(file: Path) -> None:
    interrupted(file)[1].write_text('{"source":"here","size":-1}')


def shortened(file: Path) -> None:
    os.truncate(interrupted(file)[0], 3)


def spoilt(file: Path) -> None:
    path, _ = interrupted(file)
    path.write_bytes(b"x" * path.stat().st_size)


def of_another_store(file: Path) -> None:
    interrupted(file, "there")


@pytest.mark.parametrize(
    ("leave", "told"),
    [
        (spoilt_state, "orders.jsonl.state cannot be read; remove "),
        (negative_state, "orders.jsonl.state cannot be read; remove "),
        (shortened, "orders.jsonl.part is shorter than "),
        (spoilt, "line 1 has no end"),
        (of_another_store, "orders.jsonl.part was begun from there; remove "),
    ],
)
async def test_what_an_interrupted_export_left_and_cannot_be_continued_is_told(
    world: World, file: Path, leave: Callable[[Path], None], told: str
) -> None:
    leave(file)
    with pytest.raises(TransferFailed) as failed:
        await export(world, file)
    assert told in str(failed.value)


async def test_a_store_that_was_made_anew_does_not_continue_an_export(world: World, file: Path) -> None:
    async with world_on("memory") as former:
        cursors = {
            found.id: (await former.aggregates.container.changes(found, Start.NOW)).cursor
            for found in await former.aggregates.container.feed_ranges()
        }
    with unfinished(file, "here", orders.CONTAINER) as part:
        part.state.cursors = dict(cursors)
        part.save()
    with pytest.raises(TransferFailed, match="was begun from another store"):
        await export(world, file)


@pytest.mark.parametrize("left", ["nothing", "the state alone", "both, at their beginning"])
async def test_an_export_that_was_killed_at_its_very_beginning_begins_anew(world: World, file: Path, left: str) -> None:
    await shop(world, customers=1)
    if left != "nothing":
        path, state = interrupted(file)
        state.write_text('{"source":"here"}')
        if left == "the state alone":
            path.unlink()
    await export(world, file)
    assert len(documents(file)) == 11


async def test_a_full_disk_is_told_and_the_export_continues_when_there_is_room(world: World, file: Path) -> None:
    await shop(world, customers=10)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(TransferFailed, match="cannot be written: File too large; run it again to continue"):
            await export(world, file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await export(world, file)
    assert len(documents(file)) == 110
