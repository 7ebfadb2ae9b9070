"""How operations reach the gateway, and results its clients; docs/transports.md says what clients may expect."""

from starlette.routing import Route, WebSocketRoute

from gateway.execution import Executor
from gateway.limits.configured import Limits
from gateway.settings import Settings
from gateway.transports.http import Http
from gateway.transports.sse import EventStream
from gateway.transports.websocket import Sockets

GRAPHQL_PATH = "/graphql"
STREAM_PATH = "/graphql/stream"


def transport_routes(
    http: Http, executor: Executor, settings: Settings, limits: Limits
) -> list[Route | WebSocketRoute]:
    """GraphQL over HTTP, multipart and WebSocket at one path, and server-sent events at another."""
    return [
        Route(GRAPHQL_PATH, http, methods=None),
        WebSocketRoute(GRAPHQL_PATH, Sockets(executor, settings, limits)),
        Route(STREAM_PATH, EventStream(executor, settings, limits), methods=None),
    ]
