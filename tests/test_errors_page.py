"""docs/errors.md has every code that an error may have, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "errors.md"
PACKAGES = ("gateway", "schema", "read_model")
RAISED = {"BadQuestion", "Denied", "Lagging", "Unanswered", "Shed", "NotExecutable", "_held"}
"""What has a code among its arguments."""
CODE = re.compile(r"[A-Z]+(_[A-Z]+)*")
TYPED = {"VERSION_CONFLICT", "ORDER_NOT_FOUND", "COMMAND_ID_REUSED"}
"""Codes of typed results, which are no errors: docs/orders.md has them."""


def codes(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "code":
                        yield from texts(value)
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in RAISED:
                for argument in arguments:
                    yield from texts(argument)
            case ast.keyword(arg="code", value=value):
                yield from texts(value)


def texts(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)) if CODE.fullmatch(text):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from texts(body)
            yield from texts(orelse)


def test_every_code_is_on_the_page_and_no_other() -> None:
    source = {
        code
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        for code in codes(ast.parse(file.read_text()))
    }
    rows = re.findall(r"^\| `([A-Z_]+)` \|", PAGE.read_text(), re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert set(rows) == source - TYPED
    assert source >= {"INTERNAL", "COST_LIMIT", "OVERLOADED", "BAD_PAGE", "TOO_MANY_SOCKETS", "GRAPHQL_PARSE_FAILED"}
