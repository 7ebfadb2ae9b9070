"""Raw ASGI WebSockets: who subscribes is kept, and a text that is published is sent to all as it is.

    python -m benchmarks.floors.sockets

It speaks as much of graphql-transport-ws as a subscriber says.
"""

from benchmarks.floors.serving import Receive, Scope, Send, answer, body_of, serve

subscribers: list[Send] = []
FIRST = '{"type":"next","id":"1","payload":{"data":null}}'


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """A subscriber's socket, or a publication."""
    if scope["type"] == "websocket":
        await subscribed(receive, send)
    else:
        await publish((await body_of(receive)).decode())
        await answer(send, b'{"data":null}')


async def subscribed(receive: Receive, send: Send) -> None:
    """Serve a subscriber until it goes."""
    await receive()
    await send({"type": "websocket.accept", "subprotocol": "graphql-transport-ws"})
    while (event := await receive())["type"] == "websocket.receive":
        if "connection_init" in event["text"]:
            await send({"type": "websocket.send", "text": '{"type":"connection_ack"}'})
        elif '"subscribe"' in event["text"]:
            await send({"type": "websocket.send", "text": FIRST})
            subscribers.append(send)
    if send in subscribers:
        subscribers.remove(send)


async def publish(text: str) -> None:
    """Send to all."""
    message = {"type": "websocket.send", "text": text}
    for send in subscribers:
        await send(message)


if __name__ == "__main__":
    serve(app)
