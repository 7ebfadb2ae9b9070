"""Serving: one process, or several that share the socket and the store."""

import errno
import os
import resource
import socket
from contextlib import suppress

import uvicorn
from pydantic import SecretStr
from uvicorn.supervisors import multiprocess

from gateway import logs
from gateway.protocol import HttpProtocol
from gateway.server import Server, WebSocketProtocol, Worker
from gateway.settings import Settings

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
    _open_as_many_files_as_allowed()
    if workers > 1:  # a scraper would ask one of them, and never know which
        settings = settings.model_copy(update={"metrics": False})
    # The application reads its settings from the environment, also in workers, which are processes of their own. Of
    # those that are no secret, what was given on the command line must be there too.
    given = settings.model_dump(exclude_none=True)
    plain = {name.upper(): str(value) for name, value in given.items() if not isinstance(value, SecretStr)}
    os.environ.update(plain)
    config = uvicorn.Config(
        "gateway.app:create_app",
        factory=True,
        loop="uvloop",
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_max_size=settings.max_body_bytes,
        lifespan="on",
        log_config=logs.config(settings.log_level, settings.log_format),
        access_log=False,
        server_header=False,
        workers=workers,
        timeout_graceful_shutdown=10,
    )
    if workers == 1:
        Server(config).run(sockets=[listener])
    else:
        multiprocess.Process = Worker  # type: ignore[misc]  # uvicorn has no other way to say so
        multiprocess.Multiprocess(config, sockets=[listener]).run()


def _open_as_many_files_as_allowed() -> None:
    """A connection is a file, and systems begin with few of them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
