"""Query text to tokens, and a cursor over them."""

import json
import re
from dataclasses import dataclass
from typing import Any

from .errors import bad_request

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*)
    |(?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<parameter>@\w+)
    |(?P<name>[^\W\d]\w*)
    |(?P<symbol><>|<=|>=|!=|\|\||\?\?|<<|>>|[-+*/%=<>()\[\]{},.:?&|^~!])""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """`kind`: number, string, parameter, name, symbol or end. `text` as written, `value` decoded."""

    kind: str
    text: str
    value: Any
    start: int
    end: int

    @property
    def upper(self) -> str:
        return self.text.upper() if self.kind in ("name", "symbol") else ""


def syntax_error(message: str, start: int = 0, end: int = 0) -> Exception:
    detail = {"errors": [{"severity": "Error", "location": {"start": start, "end": end}, "code": "SC1001",
                          "message": message}]}  # fmt: skip
    return bad_request(f"Message: {json.dumps(detail)}")


def _string(text: str) -> str:
    inner = text[1:-1]
    if text[0] == "'":
        inner = re.sub(r'(?<!\\)"', r"\"", inner.replace("\\'", "'"))
    try:
        return str(json.loads(f'"{inner}"', strict=False))
    except ValueError as error:
        raise syntax_error(f"Syntax error, invalid string literal token '{text}'.") from error


def _number(text: str) -> int | float:
    if text[:2] in ("0x", "0X"):
        return int(text, 16)
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def tokens(text: str) -> list[Token]:
    """The tokens of `text`, closed by one of kind "end"."""
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise syntax_error(f"Syntax error, incorrect syntax near '{text[position]}'.", position, position + 1)
        kind, written = str(match.lastgroup), match.group()
        if kind != "space":
            value: Any = written
            if kind == "number":
                value = _number(written)
            elif kind == "string":
                value = _string(written)
            found.append(Token(kind, written, value, position, match.end()))
        position = match.end()
    found.append(Token("end", "", None, position, position))
    return found


RESERVED = frozenset({
    "SELECT", "FROM", "WHERE", "ORDER", "GROUP", "BY", "OFFSET", "LIMIT", "AND", "OR", "NOT", "IN", "BETWEEN", "LIKE",
    "JOIN", "AS", "TOP", "DISTINCT", "EXISTS", "ESCAPE", "ASC", "DESC",
})  # fmt: skip


class Cursor:
    """A place in the tokens of a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokens(text)
        self.at = 0

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def advance(self) -> Token:
        token = self.next
        self.at += 1
        return token

    def accept(self, *words: str) -> bool:
        """Step over `words` if they come next, all of them."""
        if [token.upper for token in self.tokens[self.at : self.at + len(words)]] == list(words):
            self.at += len(words)
            return True
        return False

    def expect(self, word: str) -> None:
        if not self.accept(word):
            raise self.error()

    def error(self) -> Exception:
        token = self.next
        return syntax_error(f"Syntax error, incorrect syntax near '{token.text}'.", token.start, token.end)

    def since(self, index: int) -> str:
        """The text from token `index` up to where we are."""
        return self.text[self.tokens[index].start : self.tokens[self.at - 1].end] if self.at > index else ""

    def identifier(self) -> str:
        if self.next.kind != "name" or self.next.upper in RESERVED:
            raise self.error()
        return self.advance().text
