"""An ASGI application under uvicorn, as the gateway runs: uvloop, httptools, no access log."""

import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def serve(app: App) -> None:
    """Serve on a free port, which is printed, until SIGTERM."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"Serving http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[listener])


async def body_of(receive: Receive) -> bytes:
    """A request's body."""
    message = await receive()
    body = bytes(message["body"])
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    return body


async def answer(send: Send, body: bytes) -> None:
    """Answer JSON."""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
