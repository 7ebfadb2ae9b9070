"""Serving: one process, or several that share the socket and the store."""

import errno
import os
import socket

import uvicorn
from uvicorn.supervisors import Multiprocess

from gateway.settings import Settings


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


def serve(settings: Settings, listener: socket.socket, workers: int) -> None:
    """Serve on `listener` until SIGTERM or SIGINT."""
    # Workers are processes of their own and read their settings from the environment.
    os.environ.update({name.upper(): str(value) for name, value in settings.model_dump().items()})
    config = uvicorn.Config(
        "gateway.app:create_app",
        factory=True,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        lifespan="on",
        log_level=settings.log_level,
        access_log=False,
        workers=workers,
        timeout_graceful_shutdown=10,
    )
    if workers == 1:
        uvicorn.Server(config).run(sockets=[listener])
    else:
        Multiprocess(config, sockets=[listener]).run()
