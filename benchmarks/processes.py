"""Servers as processes of their own, all on one core while the client has another; what they cost is told by the OS."""

import asyncio
import os
import re
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

STARTED = re.compile(r"(?:Serving|ready:) https?://127\.0\.0\.1:(\d+)|Projecting")
GATEWAY = Path(sys.executable).with_name("gateway")
START_S = 60.0
STOP_S = 20.0
TICK_S = 0.02
"""More than the kernel's tick takes, which is 10 ms at most."""

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORES, CLIENT_CORES = ({CORES[0]}, set(CORES[1:])) if len(CORES) > 1 else (set(CORES), set(CORES))


class DidNotStart(Exception):
    """A server did not come up; the message is the last that it said."""


@dataclass(frozen=True)
class Server:
    """A running process, and the port of this machine that it listens on, if it does."""

    process: asyncio.subprocess.Process
    port: int
    said: str
    """The line in which it told that it has started."""

    async def cpu(self) -> float:
        """Seconds of CPU that all threads of the process have taken so far, by its CPU-time clock.

        The clock's number is made of the process' id as in clock_getcpuclockid(3). Linux adds to another process'
        clock as that stops running, or at the next tick: what has just been done is in it after a moment only.
        """
        await asyncio.sleep(TICK_S)
        return time.clock_gettime((~self.process.pid << 3) | 2)

    def memory(self) -> int:
        """Bytes that are resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024


@contextmanager
def on_cores(cores: set[int]) -> Iterator[None]:
    """Processes that are started in the context run on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@asynccontextmanager
async def running(
    *command: str | Path, env: Mapping[str, str] | None = None, cores: set[int] = SERVER_CORES
) -> AsyncIterator[Server]:
    """The command as a process that tells when it has started; ended with the context. Raises DidNotStart."""
    with on_cores(cores):
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **(env or {})},
        )
    lines: deque[str] = deque(maxlen=20)
    try:
        port = await _address(process, lines)
        said = lines[-1]
        reading = asyncio.create_task(_read_on(process, lines))
        yield Server(process, port, said)
        await _stop(process)
        await reading
    finally:
        await _stop(process)


@asynccontextmanager
async def gateway(*options: str, env: Mapping[str, str] | None = None) -> AsyncIterator[Server]:
    """`gateway serve` as a user runs it, but for the options; ready to be asked."""
    async with running(GATEWAY, "serve", "--port", "0", *options, env=env) as server:
        async with asyncio.timeout(START_S):
            while not await _is_ready(server.port):  # noqa: ASYNC110  another process
                await asyncio.sleep(0.05)
        yield server


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


async def output(*command: str, env: Mapping[str, str] | None = None, within_s: float = 120.0) -> str:
    """What a command prints until it ends. Raises DidNotStart if it fails, TimeoutError if it takes too long."""
    with on_cores(SERVER_CORES):
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, env={**os.environ, **(env or {})}
        )
    try:
        async with asyncio.timeout(within_s):
            printed, _ = await process.communicate()
    finally:
        await _stop(process)
    if process.returncode:
        raise DidNotStart(f"{command} ended with {process.returncode}")
    return printed.decode()


async def _address(process: asyncio.subprocess.Process, lines: deque[str]) -> int:
    assert process.stdout
    with suppress(TimeoutError):
        async with asyncio.timeout(START_S):
            while line := (await process.stdout.readline()).decode():
                lines.append(line.strip())
                if found := STARTED.search(line):
                    return int(found[1] or 0)
    raise DidNotStart(" / ".join(lines) or "it said nothing")


async def _read_on(process: asyncio.subprocess.Process, lines: deque[str]) -> None:
    assert process.stdout
    while line := await process.stdout.readline():
        lines.append(line.decode().strip())


async def _is_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    answer = await reader.readline()
    writer.close()
    return b" 200 " in answer


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
