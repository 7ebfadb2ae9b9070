"""What a run was made on, without anything that names the machine."""

import json
import os
import platform
import re
import shutil
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path

LOCK = Path(__file__).parent / "peers" / "package-lock.json"

PACKAGES = (
    "uvicorn", "uvloop", "httptools", "starlette", "websockets", "msgspec", "strawberry-graphql", "graphql-core",
    "azure-cosmos",
)  # fmt: skip


def machine() -> dict[str, str]:
    """The processor, how many cores, how much memory."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
    }


def versions() -> dict[str, str]:
    """Of what was measured and what it was measured with."""
    own = {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    return own | {name: version(name) for name in PACKAGES} | _node()


def _node() -> dict[str, str]:
    if not (node := shutil.which("node")):
        return {}
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    lock = json.loads(LOCK.read_text())["packages"]
    return {"node": told.strip().lstrip("v")} | {
        name: lock[f"node_modules/{name}"]["version"] for name in lock[""]["dependencies"]
    }
