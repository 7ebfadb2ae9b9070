"""The traps of Cosmos DB that docs/cosmos.md lists: each names a test, and the test is there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TRAPS = re.findall(r"^\| .* \| `(test_\w+)` \|$", (ROOT / "docs" / "cosmos.md").read_text(), re.MULTILINE)


def test_every_trap_names_a_test_that_is_there() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert len(TRAPS) > 20
    assert [name for name in TRAPS if f"def {name}(" not in tests] == []
