"""Servers that others build the same with, on Node.js; each does the same work and gives the same answers.

They are left out, and that is said, where Node.js or what they need is not installed (`benchmarks/peers/install`).
"""

import shutil
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.processes import DidNotStart, Server, running

HERE = Path(__file__).parent
SCHEMA = HERE.parents[1] / "schema.graphql"


class Peers:
    """Starts peers, and remembers why which of them could not be measured."""

    def __init__(self) -> None:
        self._node = shutil.which("node")
        self._why: dict[str, str] = {}
        self._lacking = "" if self._node else "Node.js is not installed"
        if self._node and not (HERE / "node_modules").exists():
            self._lacking = "the peers are not installed (benchmarks/peers/install)"

    async def started(
        self, stack: AsyncExitStack, wanted: Mapping[str, str], env: Mapping[str, str]
    ) -> dict[str, Server]:
        """The wanted peers, by the name they are shown by, of the programs that are named; those that start."""
        servers: dict[str, Server] = {}
        for name, program in wanted.items():
            if self._lacking:
                self._why[name] = self._lacking
                continue
            try:
                process = running(
                    str(self._node),
                    str(HERE / f"{program}.js"),
                    env={"SCHEMA": str(SCHEMA), "NODE_ENV": "production", **env},
                )
                servers[name] = await stack.enter_async_context(process)
            except DidNotStart as error:
                print(f"{name} did not start: {error}", file=sys.stderr)
                self._why[name] = "did not start"
        return servers

    def missing(self, *names: str) -> list[str]:
        """Those of the peers that could not be measured, and why."""
        return [f"{name}: {self._why[name]}" for name in names if name in self._why]
