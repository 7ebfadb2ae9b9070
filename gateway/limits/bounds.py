"""How large a document may be, in each way in which it can be large."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """Upper bounds of a document and of what its operations cost; fragments count where they are spread.

    `selections` are fields, spreads and inline fragments of an operation; `compared` are pairs of fields that have the
    same name in the answer, of which validation must find out whether they can be merged.
    """

    characters: int = 50_000
    tokens: int = 1_000
    depth: int = 16
    selections: int = 1_000
    aliases: int = 50
    directives: int = 50
    fragments: int = 50
    operations: int = 20
    compared: int = 2_000
    cost: int = 5_000
    introspection: bool = True
    suggestions: bool = True
