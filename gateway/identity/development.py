"""Who asks, by their own word: for development, where no tokens are configured. Not used in production."""

import re

from gateway.identity.refusals import Unauthenticated
from schema.ids import KEY
from schema.viewer import DEVELOPER, NOBODY, SCOPES, Viewer

HEADER = b"x-development-identity"
_SERVICE = re.compile(rf"service:({KEY.pattern})((?: [a-z]+:[a-z]+)*)")


class Development:
    """Believes `customer:alice`, `staff`, `staff:carol`, `service:carrier orders:fulfil` and `nobody`."""

    header = HEADER
    nobody = DEVELOPER

    async def viewer(self, value: bytes) -> Viewer:
        """Who that is. Raises Unauthenticated."""
        text = value.decode("latin-1").strip()
        kind, _, name = text.partition(":")
        if text == "nobody":
            return NOBODY
        if service := _SERVICE.fullmatch(text):
            scopes = frozenset(service[2].split())
            if scopes <= frozenset(SCOPES):
                return Viewer("service", service[1], scopes=scopes)
        elif kind == "staff" and (KEY.fullmatch(name) or text == "staff"):
            return Viewer("staff", name or "developer")
        elif kind == "customer" and KEY.fullmatch(name):
            return Viewer("customer", name, customer=name)
        raise Unauthenticated("malformed")
