"""Who asks: a bearer token, or in development a header, becomes a `Viewer`; docs/security/identity.md is for users.

`Callers` is what transports use. `Tokens` proves tokens with keys that are fetched (`keys`) or shared, `Development`
takes a header's word for it, and `minting` makes tokens to try things with.
"""

from gateway.identity.callers import Callers, Identification
from gateway.identity.refusals import Unauthenticated

__all__ = ["Callers", "Identification", "Unauthenticated"]
