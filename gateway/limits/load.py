"""How much each client may ask for, and have open: by who it is, and by where it is."""

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address

from starlette.types import Scope

from gateway.limits.rates import Held, Rate
from gateway.limits.shared import SharedRate
from gateway.limits.shed import Shed
from schema.viewer import Viewer
from store import Container

Key = Callable[[Scope], str]

PREPARING = 20
"""What a document costs that was not asked for lately, whatever it turns out to be: it is parsed and validated."""
LARGE, OF_LARGE = 10_000, 5
"""What is sent costs so much for as many bytes, whatever it turns out to be: it is decoded."""
RETRY_S = 5.0
"""When to try again where nobody knows when there will be room."""


def name_of(scope: Scope) -> str | None:
    """Who asks, where that is known."""
    viewer: Viewer | None = scope.get("viewer")
    return viewer.actor if viewer else None


def identity_of(scope: Scope) -> str:
    """Who asks: by name where that is known, else by address."""
    return name_of(scope) or address_of(scope)


def address_of(scope: Scope) -> str:
    """Where who asks is: the peer, or whom a trusted proxy names."""
    client = scope.get("client")
    return network_of(client[0]) if client else ""


def limited(wait_s: float) -> Shed:
    """Too much was asked for in a time."""
    return Shed("RATE_LIMITED", "Too much was asked for; try again later.", wait_s)


@lru_cache(10_000)
def network_of(address: str) -> str:
    """Whose address it is: of IPv6 everybody has a /64."""
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address)
    except ValueError:  # proxies name what they like
        return address
    return str(parsed.ipv4_mapped or f"{IPv6Address(int(parsed) >> 64 << 64)}/64")


class Load:
    """The bounds of what clients ask for and have open: in this process, and of what they ask for in all if shared."""

    def __init__(
        self,
        by_identity: Rate | None = None,
        by_address: Rate | None = None,
        sockets: Held | None = None,
        subscriptions: Held | None = None,
    ) -> None:
        self._by_identity = by_identity
        self._by_address = by_address
        self._shared: list[tuple[SharedRate, Key]] = []
        self.is_shared = False
        """Whether there is more to take than `take` does."""
        self.has_rates = bool(by_identity or by_address)
        """Whether it matters what is asked for."""
        self._sockets = sockets or Held(0, 0)
        self._subscriptions = subscriptions or Held(0, 0)

    def share(self, container: Container) -> None:
        """Keep the rates from now on together with the other processes that have the container."""
        self.is_shared = self.has_rates
        rates: list[tuple[Rate | None, Key]] = [(self._by_identity, identity_of), (self._by_address, address_of)]
        self._shared = [(SharedRate(container, key.__name__, rate), key) for rate, key in rates if rate]

    def arrive(self, scope: Scope) -> None:
        """Take one from where something is asked, before it is looked at. Raises Shed if there is less."""
        if self._by_address and (wait := self._by_address.take(address_of(scope), 1)):
            raise limited(wait)

    def decode(self, scope: Scope, size: int) -> None:
        """Take what it costs to decode so many bytes from who sends them. Raises Shed if there is less."""
        if size >= LARGE and self.has_rates:
            self.take(scope, size // LARGE * OF_LARGE)

    def take(self, scope: Scope, cost: int) -> None:
        """Take so much from who asks, in this process. Raises Shed if there is less."""
        address = address_of(scope)
        if self._by_identity and (wait := self._by_identity.take(name_of(scope) or address, cost)):
            raise limited(wait)
        if self._by_address and (wait := self._by_address.take(address, cost)):
            raise limited(wait)

    async def take_shared(self, scope: Scope, cost: int) -> None:
        """Take so much from who asks, in all processes that share. Raises Shed if there is less."""
        for shared, key in self._shared:
            if wait := await shared.take(key(scope), cost):
                raise limited(wait)

    async def close(self) -> None:
        """Share no more."""
        for shared, _ in self._shared:
            await shared.close()

    def socket(self, scope: Scope) -> "_held":
        """A socket, while in the context, which raises Shed."""
        return _held(self._sockets, address_of(scope), "TOO_MANY_SOCKETS", "Too many sockets are open.")

    def subscription(self, scope: Scope) -> "_held":
        """A subscription, while in the context, which raises Shed."""
        message = "Too many subscriptions are followed."
        return _held(self._subscriptions, identity_of(scope), "TOO_MANY_SUBSCRIPTIONS", message)


class _held:  # as functions are used; a generator would take more memory, for each socket
    __slots__ = ("_held", "_key", "_refusal")

    def __init__(self, held: Held, key: str, code: str, message: str) -> None:
        self._held = held
        self._key = key
        self._refusal = (code, message)

    def __enter__(self) -> None:
        if not self._held.take(self._key):
            raise Shed(*self._refusal, RETRY_S)

    def __exit__(self, *_: object) -> None:
        self._held.give(self._key)
