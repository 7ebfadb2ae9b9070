"""What several commands are given: the store, and projections by their names."""

from typing import Annotated, Any

import typer

from projector.generations import Refused
from projector.orders import PROJECTIONS
from projector.projection import Projection

StoreOption = Annotated[
    str | None, typer.Option("--store", metavar="URL", help="The store, as in sqlite:///data/gateway.db [STORE_URL].")
]

BY_NAME = {projection.name: projection for projection in PROJECTIONS}


def named(name: str) -> Projection[Any, Any]:
    """The projection of that name. Raises Refused, with the names that there are."""
    if name not in BY_NAME:
        raise Refused(f"there is no projection {name!r}; there are {', '.join(BY_NAME)}")
    return BY_NAME[name]
