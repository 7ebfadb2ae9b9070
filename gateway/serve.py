"""Serving: one process, or several that share the socket and the store."""

import errno
import os
import socket
from contextlib import suppress

import uvicorn
from uvicorn.supervisors import multiprocess

from gateway import logs
from gateway.server import Server, WebSocketProtocol, Worker
from gateway.settings import SECRETS, Settings

NEAR = 64


class CannotListen(Exception):
    """The address cannot be listened on; the message says why."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises CannotListen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(f"port {port} of {host} is in use; choose another with --port or PORT=") from error
        raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror}") from error


def listen_near(host: str, port: int) -> socket.socket:
    """A listening socket on the first free port from `port` on: processes of one machine that are set alike share out.

    Raises CannotListen if none of NEAR ports is free.
    """
    for near in range(port, min(port + NEAR, 65535)):
        with suppress(CannotListen):
            return listen(host, near)
    return listen(host, port)


def serve(settings: Settings, listener: socket.socket, workers: int) -> None:
    """Serve on `listener` until SIGTERM or SIGINT; then drain (`gateway.server`), and return."""
    if workers > 1:  # a scraper would ask one of them, and never know which
        settings = settings.model_copy(update={"metrics": False})
    # The application reads its settings from the environment, also in workers, which are processes of their own. Of
    # those that are no secret, what was given on the command line must be there too.
    plain = settings.model_dump(exclude=set(SECRETS), exclude_none=True)
    os.environ.update({name.upper(): str(value) for name, value in plain.items()})
    config = uvicorn.Config(
        "gateway.app:create_app",
        factory=True,
        loop="uvloop",
        http="httptools",
        ws=WebSocketProtocol,
        lifespan="on",
        log_config=logs.config(settings.log_level, settings.log_format),
        access_log=False,
        workers=workers,
        timeout_graceful_shutdown=10,
    )
    if workers == 1:
        Server(config).run(sockets=[listener])
    else:
        multiprocess.Process = Worker  # type: ignore[misc]  # uvicorn has no other way to say so
        multiprocess.Multiprocess(config, sockets=[listener]).run()
