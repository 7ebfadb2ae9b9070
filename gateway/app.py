"""The application: GraphQL on all its transports, the pages, and what an orchestrator asks."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypedDict

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import health
from gateway.answers import in_messages
from gateway.drain import Drain
from gateway.eager import Eager
from gateway.edge import Requests
from gateway.execution import Executor
from gateway.heads import Directly, Heads
from gateway.health import own_port
from gateway.lab import open_lab
from gateway.limits.configured import Limits, limits_of
from gateway.limits.connections import Connections
from gateway.limits.origins import PREFLIGHTED
from gateway.limits.shared import RATES
from gateway.pages import page_routes
from gateway.production import check_fit
from gateway.settings import BadSettings, Settings, read_settings
from gateway.telemetry import Telemetry, open_telemetry
from gateway.transports import GRAPHQL_PATH, transport_routes
from gateway.transports.http import Http
from gateway.wiring import Gateway, running_gateway
from schema.build import build_schema


class State(TypedDict):
    """What requests are given, and the server: what it has to begin when it is told to end, and what its connections
    share."""

    gateway: Gateway
    drain: Drain
    connections: Connections
    heads: Heads
    eager: Eager


Transports = Sequence[Route | WebSocketRoute]
Around = Callable[[ASGIApp], ASGIApp]
Lifespan = Callable[[Starlette], AbstractAsyncContextManager[State]]


class Application(Starlette):
    """Starlette, except that the transports are found by their paths alone, before anything else is looked at."""

    def __init__(self, transports: Transports, routes: Sequence[BaseRoute], around: Around, lifespan: Lifespan) -> None:
        """`around` wraps all of it."""
        super().__init__(routes=[*transports, *routes], lifespan=lifespan)
        self._others = around(super().__call__)
        self._transports: dict[tuple[str, str | None], ASGIApp] = {
            ("http" if isinstance(route, Route) else "websocket", route.path): around(route.app) for route in transports
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, a socket, or the lifespan."""
        scope["app"] = self
        await self._transports.get((scope["type"], scope.get("path")), self._others)(scope, receive, send)


def _shared(app: ASGIApp, origins: Collection[str]) -> ASGIApp:
    """The application as pages of these origins may use it, too. No cookie is ever looked at."""
    if not origins:
        return app
    return CORSMiddleware(
        in_messages(app),
        allow_origins=sorted(origins),
        allow_methods=["GET", "POST"],
        allow_headers=[
            "authorization",
            "content-type",
            "last-event-id",
            "x-request-id",
            *(name.decode() for name in PREFLIGHTED),
        ],
        expose_headers=["retry-after", "x-request-id"],
        max_age=7200,
    )


def executor_of(limits: Limits, telemetry: Telemetry | None = None) -> Executor:
    """What executes operations within limits. Raises BadSettings for trusted documents that it could not execute."""
    executor = Executor(build_schema(), telemetry, limits.bounds, limits.running, limits.persisted)
    if faults := [f"{id}: {error.message}" for id, error in executor.trust(limits.persisted.trusted)]:
        raise BadSettings("TRUSTED_DOCUMENTS: the file has faults\n" + "\n".join(faults))
    return executor


def create_app(settings: Settings | None = None, telemetry: Telemetry | None = None) -> Starlette:
    """The application; it opens the store when it is started, and closes it when it is stopped.

    Raises BadSettings for what is not fit for production.
    """
    settings = settings or read_settings()
    check_fit(settings)
    telemetry = telemetry or open_telemetry(settings)
    limits = limits_of(settings)
    lab = open_lab(settings)
    executor = executor_of(limits, telemetry)
    http = Http(executor, settings, limits)

    def directly(scope: Mapping[str, Any]) -> Directly | None:
        return http.directly(scope) if scope["path"] == GRAPHQL_PATH else None

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[State]:
        try:
            async with running_gateway(settings, telemetry, lab) as gateway, own_port(settings, gateway):
                limits.running.watch()
                if settings.rate_shared:
                    limits.load.share(gateway.store.container(RATES.name))
                app.state.gateway = gateway
                eager = Eager()
                yield {
                    "gateway": gateway,
                    "drain": gateway.drain,
                    "connections": limits.connections,
                    "heads": Heads(directly),
                    "eager": eager,
                }
                eager.close()
                await limits.running.close()
                await limits.load.close()
        finally:
            await telemetry.close()

    def around(app: ASGIApp) -> ASGIApp:
        return Requests(lab.around(_shared(app, settings.origins)), telemetry=telemetry, traced=GRAPHQL_PATH)

    return Application(
        transports=transport_routes(http, executor, settings, limits),
        routes=[
            *health.routes(metrics=settings.metrics, details=settings.gateway_env != "production"),
            *page_routes(settings),
            *lab.routes,
        ],
        around=around,
        lifespan=lifespan,
    )
