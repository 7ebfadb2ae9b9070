"""The pages: what is sent with them, what stands in for them, and that a wheel has them."""

import gzip
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from gateway import pages
from tests.gateway.edge import Edge, open_edge

ROOT = Path(__file__).parents[2]
PAGES = {"/": "playground", "/desk": "desk"}


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle with two pages and two files."""
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    for name in PAGES.values():
        (static / f"{name}.html").write_text(f"<title>{name}</title>")
    (static / "assets" / "code-1a2b.js").write_text("let code;")
    (static / "assets" / "code-1a2b.js.gz").write_bytes(gzip.compress(b"let code;"))
    (static / "assets" / "font-3c4d.ttf").write_bytes(b"font")
    monkeypatch.setattr(pages, "STATIC", static)
    return static


@pytest.fixture
def no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "STATIC", tmp_path / "nothing")


async def headers(edge: Edge, path: str, **asked: str) -> dict[str, str]:
    async with edge.http.get(edge.url + path, headers=asked) as answer:
        assert answer.status == 200
        return {name.lower(): value for name, value in answer.headers.items()}


@pytest.mark.usefixtures("bundle")
@pytest.mark.parametrize("path", PAGES)
async def test_a_page_runs_own_script_only_and_is_asked_for_again(path: str) -> None:
    async with open_edge() as edge:
        status, text = await edge.get(path)
        assert (status, text) == (200, f"<title>{PAGES[path]}</title>")
        sent = await headers(edge, path)
        policy = dict(part.strip().split(" ", 1) for part in sent["content-security-policy"].split(";"))
        assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
        assert (sent["cache-control"], sent["x-content-type-options"]) == ("no-cache", "nosniff")


@pytest.mark.usefixtures("bundle")
@pytest.mark.parametrize(("coding", "encoded"), [("gzip, br", "gzip"), ("identity", None)])
async def test_a_file_is_sent_compressed_to_who_takes_that_and_kept_for_good(coding: str, encoded: str | None) -> None:
    async with open_edge() as edge:
        sent = await headers(edge, "/assets/code-1a2b.js", **{"accept-encoding": coding})
        assert (sent.get("content-encoding"), sent["vary"]) == (encoded, "accept-encoding")
        assert "javascript" in sent["content-type"]
        assert (sent["cache-control"], sent["x-content-type-options"]) == (
            "public, max-age=31536000, immutable",
            "nosniff",
        )
        assert (await edge.get("/assets/code-1a2b.js"))[1] == "let code;"


@pytest.mark.usefixtures("bundle")
async def test_a_file_that_has_no_compressed_form_is_sent_as_it_is() -> None:
    async with open_edge() as edge:
        assert "content-encoding" not in await headers(edge, "/assets/font-3c4d.ttf")


@pytest.mark.usefixtures("bundle")
@pytest.mark.parametrize("path", ["/assets/nothing.js", "/assets/", "/assets/..%2fdesk.html", "/static/desk.html"])
async def test_nothing_else_is_sent(path: str) -> None:
    async with open_edge() as edge:
        assert (await edge.get(path))[0] == 404


@pytest.mark.usefixtures("bundle")
async def test_each_page_can_be_switched_off() -> None:
    async with open_edge(playground=False) as edge:
        assert [(await edge.get(path))[0] for path in ("/", "/desk", "/assets/code-1a2b.js")] == [404, 200, 200]
    async with open_edge(playground=False, desk=False) as edge:
        assert [(await edge.get(path))[0] for path in ("/", "/desk", "/assets/code-1a2b.js")] == [404, 404, 404]
        assert (await edge.get("/graphql", query="{ __typename }"))[0] == 200


@pytest.mark.usefixtures("no_bundle")
async def test_without_a_bundle_strawberrys_playground_asks_the_endpoint_and_says_how_to_get_ours() -> None:
    async with open_edge() as edge:
        status, page = await edge.get("/")
        assert status == 200
        assert 'new URL("/graphql", window.location.href)' in page
        assert 'window.location.href.split("?")' not in page
        assert "make web" in page


@pytest.mark.usefixtures("no_bundle")
async def test_without_a_bundle_the_desk_says_how_to_get_it() -> None:
    async with open_edge() as edge:
        status, page = await edge.get("/desk")
        assert (status, "make web" in page) == (404, True)


def test_the_wheel_has_the_bundle(tmp_path: Path) -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path)
    for name in packages["packages"]:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "static"))
    (tmp_path / "gateway" / "static" / "assets").mkdir(parents=True)
    for name in ("desk.html", "assets/code-1a2b.js", "assets/code-1a2b.js.gz"):
        (tmp_path / "gateway" / "static" / name).write_text("built")
    built = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run(built, cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    held = [name for name in zipfile.ZipFile(wheel).namelist() if re.match("gateway/static/", name)]
    assert sorted(held) == [
        f"gateway/static/{name}" for name in ("assets/code-1a2b.js", "assets/code-1a2b.js.gz", "desk.html")
    ]
