"""Tokens to try things with, signed with the secret that development shares."""

import time
from collections.abc import Sequence
from typing import Any

import jwt

from gateway.settings import BadSettings, Settings
from schema.ids import KEY
from schema.viewer import SCOPES, Viewer


def somebody(
    *, customer: str | None, staff: bool, service: str | None, scopes: Sequence[str], subject: str | None
) -> Viewer:
    """Who is meant: one of a customer, staff and a service. Raises BadSettings."""
    match (customer, staff, service):
        case (str(id), False, None) if KEY.fullmatch(id) and not scopes:
            return Viewer("customer", subject or id, customer=id)
        case (None, True, None) if not scopes:
            return Viewer("staff", subject or "staff")
        case (None, False, str(name)) if name:
            return Viewer("service", subject or name, scopes=frozenset(scopes))
    raise BadSettings(
        "a token is for one: --customer ID, --staff, or --service NAME with a --scope for each thing that it may do "
        f"({', '.join(SCOPES)})"
    )


def mint(settings: Settings, viewer: Viewer, ttl_s: float) -> str:
    """A token by which a gateway that is set alike knows the viewer for `ttl_s` seconds.

    Raises BadSettings in production, and without a secret.
    """
    if settings.gateway_env == "production":
        raise BadSettings("GATEWAY_ENV: tokens are not made in production; their issuer does that")
    if settings.token_secret is None:
        raise BadSettings("TOKEN_SECRET: must be set, to 32 characters or more; the gateway must have the same")
    now = time.time()
    claims: dict[str, Any] = {"sub": viewer.subject, "iat": int(now), "exp": now + ttl_s}
    if settings.token_issuer:
        claims["iss"] = settings.token_issuer
    if settings.token_audience:
        claims["aud"] = settings.token_audience
    if viewer.kind == "staff":
        claims[settings.token_roles_claim] = ["staff"]
    if viewer.customer is not None:
        claims[settings.token_customer_claim] = viewer.customer
    if viewer.scopes:
        claims["scope"] = " ".join(sorted(viewer.scopes))
    return jwt.encode(claims, settings.token_secret.get_secret_value(), "HS256")
