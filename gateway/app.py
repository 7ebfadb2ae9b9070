"""The application: GraphQL on all its transports, the pages, and what an orchestrator asks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.middleware import Middleware

from gateway import health
from gateway.drain import Drain
from gateway.edge import Operations, Requests
from gateway.execution import Executor
from gateway.health import own_port
from gateway.pages import page_routes
from gateway.settings import Settings, read_settings
from gateway.telemetry import Telemetry, open_telemetry
from gateway.transports import GRAPHQL_PATH, transport_routes
from gateway.wiring import running_gateway
from schema.build import build_schema


class State(TypedDict):
    """What the server that runs the application is given: what it has to begin when it is told to end."""

    drain: Drain


def create_app(settings: Settings | None = None, telemetry: Telemetry | None = None) -> Starlette:
    """The application; it opens the store when it is started, and closes it when it is stopped."""
    settings = settings or read_settings()
    telemetry = telemetry or open_telemetry(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[State]:
        try:
            async with running_gateway(settings, telemetry) as gateway, own_port(settings, gateway):
                app.state.gateway = gateway
                yield {"drain": gateway.drain}
        finally:
            await telemetry.close()

    executor = Executor(build_schema(lambda: Operations(telemetry)))
    routes = [
        *transport_routes(executor, settings),
        *health.routes(metrics=settings.metrics),
        *page_routes(settings),
    ]
    around = Middleware(Requests, telemetry=telemetry, traced=GRAPHQL_PATH)
    return Starlette(routes=routes, middleware=[around], lifespan=lifespan)
