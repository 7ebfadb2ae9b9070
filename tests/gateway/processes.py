"""The command line as processes of their own; each is ended with its context."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

GATEWAY = Path(sys.executable).with_name("gateway")


@asynccontextmanager
async def gateway(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`gateway` with these arguments, to be interrupted also where the tests run in a shell's background."""
    pipe = asyncio.subprocess.PIPE
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = await asyncio.create_subprocess_exec(GATEWAY, *arguments, stdout=pipe, stderr=pipe, preexec_fn=heed)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
