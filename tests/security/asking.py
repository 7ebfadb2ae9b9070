"""What somebody who says who they are is answered over HTTP."""

import json
from dataclasses import dataclass
from typing import Any

from multidict import CIMultiDictProxy

from tests.gateway.edge import Edge

Json = dict[str, Any]
ANYTHING = {"query": "{ __typename }"}


@dataclass(frozen=True)
class Answer:
    """An answer in JSON."""

    status: int
    body: Json
    headers: CIMultiDictProxy[str]

    @property
    def code(self) -> str | None:
        """The code of its first error."""
        errors = self.body.get("errors")
        code: str | None = errors[0]["extensions"]["code"] if errors else None
        return code


def bearer(token: str) -> Json:
    return {"authorization": f"Bearer {token}"}


def named(identity: str) -> Json:
    return {"x-development-identity": identity}


async def post(edge: Edge, headers: Json, query: str | None = None, variables: Json | None = None) -> Answer:
    """What a request with these headers is answered."""
    body = {"query": query, "variables": variables} if query else ANYTHING
    async with edge.http.post(f"{edge.url}/graphql", json=body, headers=headers) as answer:
        return Answer(answer.status, json.loads(await answer.text()), answer.headers)
