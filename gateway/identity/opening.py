"""How it is told who asks, as it is configured."""

import logging
from collections.abc import Callable
from typing import TypeVar

from gateway.identity.callers import Callers
from gateway.identity.refusals import Reason
from gateway.production import LOCAL, check_fit
from gateway.settings import Settings
from gateway.supervisor import Supervisor
from schema.context import Viewing

log = logging.getLogger(__name__)

C = TypeVar("C", bound=Viewing)


def open_callers(
    settings: Settings, context: C, supervisor: Supervisor, refused: Callable[[Reason], None]
) -> Callers[C]:
    """Callers as configured, whose contexts are like `context`; the supervisor keeps the keys of tokens up to date.

    Raises BadSettings for what is not fit for production: there, nobody's word is taken.
    """
    check_fit(settings)
    if settings.token_jwks_url is None and settings.token_secret is None:
        from gateway.identity.development import Development

        if settings.host not in LOCAL:
            log.warning("no tokens are configured: whoever reaches %s may do everything", settings.host)
        return Callers(context, Development(), refused)
    from gateway.identity.keys import PublishedKeys, SharedKey
    from gateway.identity.tokens import Tokens

    if settings.token_secret is not None:
        return Callers(context, Tokens(SharedKey(settings.token_secret.get_secret_value()), settings), refused)
    assert settings.token_jwks_url
    keys = PublishedKeys(settings.token_jwks_url)
    callers = Callers(context, Tokens(keys, settings), refused)
    keys.changed = callers.forget
    supervisor.start([("token keys", keys.keep)])
    return callers
