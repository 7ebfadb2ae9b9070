"""The application: GraphQL on all its transports, the pages, and what an orchestrator asks."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import health
from gateway.drain import Drain
from gateway.edge import Requests
from gateway.execution import Executor
from gateway.health import own_port
from gateway.lab import open_lab
from gateway.pages import page_routes
from gateway.settings import Settings, read_settings
from gateway.telemetry import Telemetry, open_telemetry
from gateway.transports import GRAPHQL_PATH, transport_routes
from gateway.wiring import running_gateway
from schema.build import build_schema


class State(TypedDict):
    """What the server that runs the application is given: what it has to begin when it is told to end."""

    drain: Drain


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


def create_app(settings: Settings | None = None, telemetry: Telemetry | None = None) -> Starlette:
    """The application; it opens the store when it is started, and closes it when it is stopped."""
    settings = settings or read_settings()
    telemetry = telemetry or open_telemetry(settings)
    lab = open_lab(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[State]:
        try:
            async with running_gateway(settings, telemetry, lab) as gateway, own_port(settings, gateway):
                app.state.gateway = gateway
                yield {"drain": gateway.drain}
        finally:
            await telemetry.close()

    executor = Executor(build_schema(), telemetry)
    return Application(
        transports=transport_routes(executor, settings),
        routes=[*health.routes(metrics=settings.metrics), *page_routes(settings), *lab.routes],
        around=lambda app: Requests(lab.around(app), telemetry, GRAPHQL_PATH),
        lifespan=lifespan,
    )
