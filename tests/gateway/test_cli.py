"""The command line: help that teaches, and what can be mended told in a sentence."""

import os
import socket
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app, main
from gateway.settings import Settings
from tests.gateway.processes import GATEWAY, gateway

CONTRACT = (Path(__file__).parents[2] / "schema.graphql").read_text()
COMMANDS = ["serve", "project", "demo", "provision", "export", "import", "schema", "token", "check"]
Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs the command line in this process; gives its exit code and what it said on both streams."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gateway", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_what_it_does(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "120"})
    assert result.exit_code == 0
    assert f"gateway {command}" in result.output
    assert "--help" in result.output


def test_without_a_command_the_help_names_them_all() -> None:
    result = CliRunner().invoke(app, [])
    assert [command for command in COMMANDS if command not in result.output] == []


def test_an_unknown_option_is_an_error(cli: Cli) -> None:
    code, _, err = cli("check", "--nonsense")
    assert (code, "No such option" in err) == (2, True)


def test_the_schema_is_printed_as_the_contract_has_it(cli: Cli) -> None:
    assert cli("schema") == (0, CONTRACT, "")


def test_check_says_ok_and_makes_the_store(cli: Cli, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new/folder/store.db"
    code, out, err = cli("check", "--store", url)
    assert (code, out, err) == (0, f"ok: the settings make sense, and {url} is open for reading and writing\n", "")
    assert (tmp_path / "new" / "folder" / "store.db").exists()


def test_check_reads_the_environment(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_URL", f"sqlite:///{tmp_path}/store.db")
    assert f"{tmp_path}/store.db" in cli("check")[1]


def test_check_names_trusted_documents_that_could_not_be_executed(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "manifest.json"
    file.write_text('{"a": "{ nothing }", "b": "{ __typename }"}')
    monkeypatch.setenv("TRUSTED_DOCUMENTS", str(file))
    code, out, err = cli("check", "--store", "sqlite:///:memory:")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        "gateway: TRUSTED_DOCUMENTS: the file has faults",
        "a: Cannot query field 'nothing' on type 'Query'.",
    ]


def regular_file(path: Path) -> str:
    path.write_text("hello")
    return f"{path}/below/store.db"


def corrupt(path: Path) -> str:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA application_id = 1129403987")
        db.execute("CREATE TABLE t (x)")
        db.executemany("INSERT INTO t VALUES (?)", [("x" * 500,)] * 100)
        db.commit()
    content = bytearray(path.read_bytes())
    content[100:4096] = b"\xff" * 3996
    path.write_bytes(content)
    return str(path)


def no_database(path: Path) -> str:
    path.write_text("this is a letter, and no database at all. " * 100)
    return str(path)


def foreign(path: Path) -> str:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE notes (text)")
    return str(path)


def newer(path: Path) -> str:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA application_id = {0x43515253}")
        db.execute("PRAGMA user_version = 99")
    return str(path)


def folder(path: Path) -> str:
    path.mkdir()
    return str(path)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (regular_file, "cannot be made"),
        (corrupt, "is damaged"),
        (no_database, "is not a SQLite database; nothing in it was changed"),
        (foreign, "is a SQLite file of another program; nothing in it was changed"),
        (newer, "has format 99, this program knows format 1"),
        (folder, "cannot be opened"),
    ],
)
@pytest.mark.parametrize("command", ["check", "serve", "project", "demo"])
def test_a_store_that_cannot_be_opened_is_told_in_a_sentence(
    cli: Cli, tmp_path: Path, make: Callable[[Path], str], told: str, command: str
) -> None:
    code, _, err = cli(command, "--store", f"sqlite:///{make(tmp_path / 'x')}")
    said = err.splitlines()[-1]
    assert (code, said.startswith("gateway: "), told in said) == (1, True, True), err


def test_a_store_that_another_program_has_locked_is_told(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.sqlite.opening.BUSY_MS", 10)
    path = tmp_path / "store.db"
    assert cli("check", "--store", f"sqlite:///{path}")[0] == 0
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        code, _, err = cli("check", "--store", f"sqlite:///{path}")
    assert (code, err) == (1, f"gateway: '{path}' is locked by another program\n")


@pytest.mark.parametrize("url", ["", "x", "postgres://localhost/x", "sqlite:///", "sqlite://x.db", "[red]x"])
def test_a_url_that_names_no_store_is_told_with_what_would(cli: Cli, url: str) -> None:
    code, _, err = cli("check", "--store", url)
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith(f"gateway: {url!r} is not a store: write sqlite:///path/to/file.db")


def test_a_store_that_makes_itself_needs_no_provisioning(cli: Cli) -> None:
    told = "gateway: sqlite:///x.db needs no provisioning: a SQLite store makes itself\n"
    assert cli("provision", "--store", "sqlite:///x.db") == (1, "", told)


def test_bad_settings_are_told_one_by_one(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "http")
    monkeypatch.setenv("LOG_LEVEL", "[loud]")
    code, _, err = cli("check")
    first, second = err.splitlines()
    assert (code, first.startswith("gateway: PORT: "), first.endswith("not 'http'")) == (1, True, True)
    assert (second.startswith("LOG_LEVEL: "), second.endswith("not '[loud]'")) == (True, True)


def test_serve_says_that_the_port_is_in_use(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = cli("serve", "--port", str(port), "--store", "sqlite:///:memory:")
    told = f"gateway: port {port} of 127.0.0.1 is in use; choose another with --port or PORT=\n"
    assert (code, err) == (1, told)


def test_serve_says_that_an_address_is_not_of_this_machine(cli: Cli) -> None:
    code, _, err = cli("serve", "--host", "192.0.2.1", "--port", "0", "--store", "sqlite:///:memory:")
    assert (code, err.startswith("gateway: cannot listen on 192.0.2.1:0: ")) == (1, True)


def test_serve_says_that_a_host_has_no_address(cli: Cli) -> None:
    code, _, err = cli("serve", "--host", "no such host", "--port", "0", "--store", "sqlite:///:memory:")
    assert (code, err.startswith("gateway: cannot listen on no such host:0: "), err.count("\n")) == (1, True, 1)
    assert "Unknown error" not in err


def test_several_workers_cannot_share_a_store_in_memory(cli: Cli) -> None:
    code, _, err = cli("serve", "--workers", "2", "--store", "sqlite:///:memory:")
    assert (code, err) == (1, "gateway: several workers cannot share a store in memory: give --store a file\n")


async def test_the_installed_command_ends_with_a_sentence_and_no_traceback() -> None:
    async with gateway("check", "--store", "nonsense") as process:
        out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert err.startswith(b"gateway: 'nonsense' is not a store: ")
    assert err.count(b"\n") == 1
    assert os.access(GATEWAY, os.X_OK)
