"""Who asks, by a JSON Web Token (RFC 7519) that an issuer has signed.

The kind of key that is configured says which algorithms there are; what a token says of itself is never believed first.
"""

from collections.abc import Mapping
from typing import Any

import jwt

from gateway.identity.callers import AUTHORIZATION
from gateway.identity.keys import Keys
from gateway.identity.refusals import Reason, Unauthenticated
from gateway.settings import Settings
from schema.ids import KEY
from schema.viewer import NOBODY, Viewer

MOST_CHARACTERS = 8192
MOST_SUBJECT = 256
LAST = 2.0**53
"""A time that no clock of ours comes to."""

_REASONS: tuple[tuple[type[Exception], Reason], ...] = (
    (jwt.ExpiredSignatureError, "expired"),
    (jwt.ImmatureSignatureError, "not_yet_valid"),
    (jwt.InvalidIssuedAtError, "not_yet_valid"),
    (jwt.InvalidIssuerError, "issuer"),
    (jwt.InvalidAudienceError, "audience"),
    (jwt.MissingRequiredClaimError, "claims"),
    (jwt.exceptions.InvalidSubjectError, "claims"),
    (jwt.InvalidAlgorithmError, "algorithm"),
    (jwt.InvalidSignatureError, "signature"),
)


class Tokens:
    """Tells who asks by the token in the header `Authorization`."""

    header = AUTHORIZATION
    nobody = NOBODY

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self._keys = keys
        self._leeway = settings.token_leeway_s
        self._customer_claim = settings.token_customer_claim
        self._roles_claim = settings.token_roles_claim
        self._expected: dict[str, Any] = {
            "issuer": settings.token_issuer,
            "audience": settings.token_audience,
            "leeway": self._leeway,
            "options": {
                "require": ["exp", "sub"],
                "verify_iss": settings.token_issuer is not None,
                "verify_aud": settings.token_audience is not None,
            },
        }

    async def viewer(self, value: bytes) -> Viewer:
        """Who the token says it is, if it is one to believe. Raises Unauthenticated."""
        scheme, _, token = value.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or len(token) > MOST_CHARACTERS:
            raise Unauthenticated("malformed")
        try:
            header = jwt.get_unverified_header(token)
            key, algorithm = await self._keys.find(header.get("kid"))
            claims = jwt.decode(token, key, algorithms=[algorithm], **self._expected)
            return self._viewer(claims)
        # Besides the library's errors, what Python says of numbers, depths and texts that are out of all bounds.
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            known = (reason for kind, reason in _REASONS if isinstance(error, kind))
            raise Unauthenticated(next(known, "malformed")) from error

    def _viewer(self, claims: Mapping[str, Any]) -> Viewer:
        subject, customer = claims["sub"], claims.get(self._customer_claim)
        if not (0 < len(subject) <= MOST_SUBJECT and subject.isprintable()):
            raise Unauthenticated("claims")
        expires_at = min(float(claims["exp"]), LAST) + self._leeway
        if "staff" in _words(claims.get(self._roles_claim)):
            return Viewer("staff", subject, expires_at=expires_at)
        if customer is not None:
            if not (isinstance(customer, str) and KEY.fullmatch(customer)):
                raise Unauthenticated("claims")
            return Viewer("customer", subject, customer=customer, expires_at=expires_at)
        scopes = _words(claims.get("scope", claims.get("scp")))
        return Viewer("service", subject, scopes=scopes, expires_at=expires_at)


def _words(claim: Any) -> frozenset[str]:
    """A claim that is a list of words, or words in a text; nothing of what is neither."""
    words = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else ()
    return frozenset(word for word in words if isinstance(word, str))
