"""What must hold before anybody is served in production: a line for each thing."""

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from gateway.settings import BadSettings, Settings

LOCAL = ("localhost", "127.0.0.1", "::1")

NEEDED: Sequence[tuple[Callable[[Settings], bool], str]] = (
    (lambda set_: set_.token_jwks_url is not None, "TOKEN_JWKS_URL: must say where the keys of bearer tokens are"),
    (
        lambda set_: set_.token_jwks_url is None or _is_safe(set_.token_jwks_url),
        "TOKEN_JWKS_URL: must be an https:// address, or one of this machine",
    ),
    (lambda set_: set_.token_issuer is not None, "TOKEN_ISSUER: must say whose tokens are taken"),
    (lambda set_: set_.token_audience is not None, "TOKEN_AUDIENCE: must say which tokens are meant for this gateway"),
    (lambda set_: set_.token_secret is None, "TOKEN_SECRET: must not be set; it is for development"),
    (lambda set_: not set_.gateway_lab, "GATEWAY_LAB: must not be set; it is for development"),
    (lambda set_: set_.signing_key is not None, "SIGNING_KEY: must be set, the same for all processes"),
)
"""Whether settings have what is needed, and what is to be said if not."""


def check_fit(settings: Settings) -> None:
    """Raises BadSettings with all that production lacks; in development nothing is needed."""
    if settings.gateway_env != "production":
        return
    if missing := [told for holds, told in NEEDED if not holds(settings)]:
        raise BadSettings("\n".join(["GATEWAY_ENV=production cannot be served like this.", *missing]))


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in LOCAL
