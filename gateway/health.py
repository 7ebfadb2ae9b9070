"""What runs in this process, and what an orchestrator and Prometheus ask of it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.drain import Drain
from gateway.freshness import Freshness
from gateway.serve import listen_near
from gateway.settings import Settings
from gateway.supervisor import Supervisor
from gateway.telemetry import Telemetry
from store import Store, StoreError

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A running process: its store, its loops, what it knows of the read model, and what it tells of itself."""

    store: Store
    supervisor: Supervisor
    freshness: Freshness
    telemetry: Telemetry
    drain: Drain = field(default_factory=Drain)


def routes(*, metrics: bool = True, details: bool = True) -> list[Route]:
    """Of an application whose `state.gateway` is a Running. Without `details` problems have their names only."""
    told = [Route("/healthz", healthz), Route("/readyz", readyz if details else readyz_in_short)]
    return [*told, Route("/metrics", metrics_)] if metrics else told


async def healthz(request: Request) -> Response:
    """200 while the process does its work: its loops run, or will be run again."""
    running: Running = request.app.state.gateway
    alive = running.supervisor.alive
    return JSONResponse({"status": "ok" if alive else "a loop has died"}, 200 if alive else 503)


async def readyz(request: Request) -> Response:
    """200 while requests can be served: the store answers, no loop fails, the read model is not too far behind, and the
    process is not about to end."""
    return _readiness(await _problems(request.app.state.gateway))


async def readyz_in_short(request: Request) -> Response:
    """The same for everybody to see: what is wrong, and not why."""
    return _readiness(dict.fromkeys(await _problems(request.app.state.gateway), "see the log"))


async def _problems(running: Running) -> dict[str, str]:
    problems = running.supervisor.failing | running.freshness.problems
    try:
        await running.store.ping()
    except StoreError as error:
        problems["store"] = str(error)
    if running.drain.begun:
        problems["draining"] = "the process is about to end"
    return problems


def _readiness(problems: Mapping[str, str]) -> Response:
    return JSONResponse({"status": "not ready" if problems else "ok", "problems": problems}, 503 if problems else 200)


async def metrics_(request: Request) -> Response:
    """The metrics of this process, in the text format that the scraper prefers."""
    running: Running = request.app.state.gateway
    text, content_type = running.telemetry.metrics.render(request.headers.get("accept", ""))
    return Response(text, headers={"content-type": content_type})


class _Server(uvicorn.Server):
    """A server within a process that minds its signals itself."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def own_port(settings: Settings, running: Running) -> AsyncIterator[None]:
    """Health and metrics on a port of their own while in the context, if that is set. Raises CannotListen."""
    if settings.metrics_port is None:
        yield
        return
    app = Starlette(routes=routes())
    app.state.gateway = running
    listener = listen_near(settings.host, settings.metrics_port)
    server = _Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
    host, port = listener.getsockname()[:2]
    log.info("Health and metrics on http://%s:%s", f"[{host}]" if ":" in host else host, port)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving
        listener.close()
