"""What people see: the playground and the order desk, built from web/ into `static`, or what stands in for them."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import strawberry
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from gateway.settings import Settings

Page = Callable[[Request], Awaitable[Response]]
STATIC = Path(__file__).parent / "static"
"""Where `make web` puts the bundle, and where a wheel has it."""

NOSNIFF = {"x-content-type-options": "nosniff"}
PAGE_HEADERS = {
    **NOSNIFF,
    "cache-control": "no-cache",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
}
ASSET_HEADERS = {
    **NOSNIFF,
    "cache-control": "public, max-age=31536000, immutable",
    "vary": "accept-encoding",
}
# Nothing from elsewhere, no inline script, no eval. `connect-src 'self'` covers the WebSocket to the same host.
POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
)
STYLES = {
    # GraphiQL's editor, Monaco, makes its colours and sizes into style elements and style attributes.
    "playground": "style-src 'self' 'unsafe-inline'",
    "desk": "style-src 'self'",
}


def page_routes(settings: Settings) -> list[BaseRoute]:
    """The pages that are switched on, and the files that they load."""
    paths = {"playground": "/"} if settings.playground else {}
    if settings.desk:
        paths["desk"] = "/desk"
    if not (STATIC / "playground.html").exists():
        return [Route(path, _stand_in(STAND_INS[page])) for page, path in paths.items()]
    routes: list[BaseRoute] = [
        Route(path, _with_lab(page) if page == "desk" and settings.gateway_lab else _page(page))
        for page, path in paths.items()
    ]
    return [*routes, Mount("/assets", Assets(directory=STATIC / "assets"))] if routes else []


class Assets(StaticFiles):
    """Files whose names change with their content: kept for good by whoever has them, sent as they were compressed."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, compressed if the client takes that, or a 404."""
        response = await self._compressed(path, scope) or await super().get_response(path, scope)
        response.headers.update(ASSET_HEADERS)
        return response

    async def _compressed(self, path: str, scope: Scope) -> Response | None:
        if "gzip" in Headers(scope=scope).get("accept-encoding", ""):
            with suppress(HTTPException):
                response = await super().get_response(f"{path}.gz", scope)
                response.headers["content-encoding"] = "gzip"
                return response
        return None


def _page(name: str) -> Page:
    headers = _headers(name)

    async def page(request: Request) -> Response:
        return FileResponse(STATIC / f"{name}.html", headers=headers)

    return page


def _with_lab(name: str) -> Page:
    """The page, told that there is a lab: one that had to ask would log an error wherever there is none."""
    html = (STATIC / f"{name}.html").read_text().replace("</head>", '<meta name="lab" content="on" /></head>')
    return _stand_in(HTMLResponse(html, headers=_headers(name)))


def _headers(name: str) -> dict[str, str]:
    return {**PAGE_HEADERS, "content-security-policy": POLICY + STYLES[name]}


def _stand_in(answer: HTMLResponse) -> Page:
    async def stand_in(request: Request) -> Response:
        return answer

    return stand_in


def _strawberry_playground() -> str:
    """Strawberry's page with GraphiQL, pointed at the endpoint. It loads GraphiQL from the Internet."""
    html = (Path(strawberry.__file__).parent / "static" / "graphiql.html").read_text()
    own_url, end = 'window.location.href.split("?")[0]', "</body>"
    assert own_url in html, "strawberry's playground has changed"
    assert end in html, "strawberry's playground has changed"
    note = (
        '<p style="position:fixed;right:12px;bottom:0;font:13px system-ui">'
        "This page loads GraphiQL from the Internet. <code>make web</code> builds one that needs none.</p>"
    )
    return html.replace(own_url, 'new URL("/graphql", window.location.href).href').replace(end, note + end)


STAND_INS = {
    "playground": HTMLResponse(_strawberry_playground(), headers=PAGE_HEADERS),
    "desk": HTMLResponse(
        "<!doctype html><title>Order desk</title><p>The order desk is not built. With Node 20 or newer, "
        "<code>make web</code> builds it; then start the gateway again.</p>",
        status_code=404,
        headers=PAGE_HEADERS,
    ),
}
