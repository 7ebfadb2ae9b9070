"""The application: GraphQL over HTTP and WebSocket, the pages, and what an orchestrator asks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from json import JSONDecodeError
from typing import Any

from cross_web import HTTPException
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler

from gateway import health
from gateway.edge import Operations, Requests
from gateway.health import own_port
from gateway.pages import page_routes
from gateway.settings import Settings, read_settings
from gateway.telemetry import Telemetry, open_telemetry
from gateway.wiring import Context, Gateway, running_gateway
from schema.build import build_schema

GRAPHQL_PATH = "/graphql"


class Socket(ASGIWebSocketAdapter):
    """A WebSocket that is closed for any reason, however long."""

    async def close(self, code: int, reason: str) -> None:
        """Close with as much of the reason as a control frame holds (RFC 6455, 5.5: 125 bytes, two for the code)."""
        await super().close(code, reason.encode(errors="replace")[:123].decode(errors="ignore"))


class Conversation(BaseGraphQLTransportWSHandler[Context, None]):
    """graphql-transport-ws with a client; what is no message of it closes the socket, and is no failure of ours."""

    async def handle_message(self, message: Any) -> None:
        """Answer a message that has the form of one."""
        if _is_message(message):
            await super().handle_message(message)
        else:
            await self.handle_invalid_message("This is no message of graphql-transport-ws.")


def _is_message(message: object) -> bool:
    match message:
        case {"type": "subscribe", "id": str(), "payload": {"query": str(query), **more}}:
            variables, name = more.get("variables"), more.get("operationName")
            return bool(query) and isinstance(variables, dict | None) and isinstance(name, str | None)
        case {"type": "complete", "id": str()}:
            return True
        case {"type": str(kind)}:
            return kind not in ("subscribe", "complete")
        case _:
            return False


class Endpoint(GraphQL[Context, None]):
    """GraphQL over HTTP and graphql-transport-ws, through the reference executor."""

    websocket_adapter_class = Socket
    graphql_transport_ws_handler_class = Conversation

    def __init__(self, telemetry: Telemetry) -> None:
        schema = build_schema(lambda: Operations(telemetry))
        super().__init__(schema, graphql_ide=None, subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL])

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Context:
        """The context of the running gateway, the same for every request."""
        gateway: Gateway = request.app.state.gateway
        return gateway.context

    def decode_json(self, data: str | bytes) -> object:
        """JSON, or JSONDecodeError: also for what is no UTF-8, nests too deep, or has numbers that are too long."""
        try:
            return super().decode_json(data)
        except (ValueError, RecursionError) as error:
            raise JSONDecodeError("not JSON that can be read", "", 0) from error

    def parse_json(self, data: str | bytes) -> dict[str, Any]:
        """A JSON object, or a 400."""
        try:
            parsed = self.decode_json(data)
        except JSONDecodeError as error:
            raise HTTPException(400, "The request is not JSON that can be read.") from error
        if not isinstance(parsed, dict):
            raise HTTPException(400, "The request must be a JSON object.")
        return parsed


def create_app(settings: Settings | None = None, telemetry: Telemetry | None = None) -> Starlette:
    """The application; it opens the store when it is started, and closes it when it is stopped."""
    settings = settings or read_settings()
    telemetry = telemetry or open_telemetry(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            async with running_gateway(settings, telemetry) as gateway, own_port(settings, gateway):
                app.state.gateway = gateway
                yield
        finally:
            await telemetry.close()

    endpoint = Endpoint(telemetry)
    routes = [
        Route(GRAPHQL_PATH, endpoint, methods=None),
        WebSocketRoute(GRAPHQL_PATH, endpoint),
        *health.routes(metrics=settings.metrics),
    ]
    around = Middleware(Requests, telemetry=telemetry, traced=GRAPHQL_PATH)
    return Starlette(routes=[*routes, *page_routes(settings)], middleware=[around], lifespan=lifespan)
