"""A process of its own on a SQLite store: `python -m tests.store.child MODE PATH OWNER COUNT`.

Says on its standard output what it has done, a line each, once it is acknowledged.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from itertools import count

from store import Conflict, Container, Partition, Replace, Start
from store.sqlite import open_sqlite
from tests.store.notes import CONTAINERS, content, follow, keep, note


def say(line: str) -> None:
    print(line, flush=True)


async def write(notes: Container, owner: str, number: int) -> None:
    """Commit `number` notes, one after the other."""
    for i in range(number):
        await keep(notes, "shared", f"{owner}{i:04}")
        say(f"{owner}{i:04}")


async def load(notes: Container, owner: str, number: int) -> None:
    """Commit batches of three for ever, `number` of them at a time."""

    async def work(worker: int) -> None:
        for i in count():
            await keep(notes, f"{owner}{worker}", *(f"{worker}-{i}-{part}" for part in "abc"))
            say(f"{worker}-{i}")

    await asyncio.gather(*map(work, range(number)))


async def listen(notes: Container, owner: str, number: int) -> None:
    """Name the next `number` notes of `owner`, read when woken only."""
    cursor = (await notes.changes(Partition(owner), Start.NOW)).cursor
    seen = await notes.wait_for_changes(0, 0)
    say("listening")
    while number > 0:
        seen = await notes.wait_for_changes(seen, 3600)
        documents, cursor = await follow(notes, Partition(owner), cursor)
        for document in documents:
            say(document.id)
        number -= len(documents)


async def add(notes: Container, owner: str, number: int) -> None:
    """Add one to the total in the note `total`, `number` times, whoever else does."""
    while number:
        document = await notes.read(owner, "total")
        assert document is not None
        total = content(document)["total"] + 1
        try:
            await notes.commit(owner, [Replace("total", note(owner, "total", total=total), document.etag)])
        except Conflict:
            continue
        number -= 1
        say(str(total))


MODES: dict[str, Callable[[Container, str, int], Awaitable[None]]] = {
    "write": write,
    "load": load,
    "listen": listen,
    "add": add,
}


async def main(mode: str, path: str, owner: str, number: str) -> None:
    store = await open_sqlite(path, CONTAINERS)
    await MODES[mode](store.container("notes"), owner, int(number))
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
