"""From what a request says of who asks to what its resolvers are given. Who is known already costs a look-up."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar

from gateway.identity.refusals import Reason, Unauthenticated
from schema.context import Viewing
from schema.viewer import Viewer

C = TypeVar("C", bound=Viewing)
MOST_KNOWN = 4096
AUTHORIZATION = b"authorization"


class Identification(Protocol):
    """A way to tell who asks, by the value of a header."""

    header: bytes
    nobody: Viewer
    """Who asks without it."""

    async def viewer(self, value: bytes) -> Viewer:
        """Who asks. Raises Unauthenticated."""
        ...


class Callers(Generic[C]):
    """The contexts of those who asked lately, and of nobody. What is refused is told to `refused`, by its reason."""

    def __init__(self, context: C, identification: Identification, refused: Callable[[Reason], None]) -> None:
        self._nobody = replace(context, viewer=identification.nobody)
        self._identification = identification
        self._refused = refused
        self._known: OrderedDict[bytes, C] = OrderedDict()

    @property
    def nobody(self) -> C:
        """The context of who says nothing of themselves."""
        return self._nobody

    def says_nothing(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether a request with these headers, their names in lower case, says nothing of who asks."""
        return self._identification.header not in headers and AUTHORIZATION not in headers

    async def of(self, headers: Iterable[tuple[bytes, bytes]]) -> C:
        """The context for a request with these headers, their names in lower case. Raises Unauthenticated."""
        wanted, given, bearer = self._identification.header, None, False
        for name, value in headers:
            if name == wanted:
                if given is not None:
                    raise self._because("malformed")
                given = value
            elif name == AUTHORIZATION:
                bearer = value[:7].lower() == b"bearer "
        if given is None:
            # Who proves who they are must not be taken for somebody else where proofs are not looked at.
            if bearer:
                raise self._because("unknown_key")
            return self._nobody
        return await self._of(given)

    async def of_payload(self, payload: Mapping[str, Any] | None) -> C | None:
        """The context for the payload of a message, which has the header as a member; None for one that has not.

        Raises Unauthenticated.
        """
        members = {name.lower(): value for name, value in (payload or {}).items()}
        names = dict.fromkeys((self._identification.header, AUTHORIZATION))
        given = [(name, members[name.decode()]) for name in names if members.get(name.decode()) is not None]
        if not given:
            return None
        try:
            headers = [(name, value.encode()) for name, value in given]
        except (AttributeError, UnicodeEncodeError) as error:  # no text, or half of a surrogate pair
            raise self._because("malformed") from error
        return await self.of(headers)

    def forget(self) -> None:
        """Prove everything anew from now on: keys have changed."""
        self._known.clear()

    async def _of(self, given: bytes) -> C:
        known = self._known.get(given)
        if known is not None:
            expires_at = known.viewer.expires_at
            if expires_at is None or time.time() < expires_at:
                self._known.move_to_end(given)
                return known
            del self._known[given]
        try:
            viewer = await self._identification.viewer(given)
        except Unauthenticated as error:
            self._refused(error.reason)
            raise
        context = self._known[given] = replace(self._nobody, viewer=viewer)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return context

    def _because(self, reason: Reason) -> Unauthenticated:
        self._refused(reason)
        return Unauthenticated(reason)
