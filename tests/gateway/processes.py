"""The command line as processes of their own; each is ended with its context."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

GATEWAY = Path(sys.executable).with_name("gateway")


@asynccontextmanager
async def gateway(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`gateway` with these arguments."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(GATEWAY, *arguments, stdout=pipe, stderr=pipe)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
