"""Settings: from the environment, in one place, with a sentence for each that cannot be."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.settings import BadSettings, Settings, read_settings

DOCUMENTED = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
NAMES = [name.upper() for name in Settings.model_fields]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_there_is_a_default_for_everything() -> None:
    settings = read_settings()
    assert (settings.store_url, settings.host, settings.port) == ("sqlite:///data/gateway.db", "127.0.0.1", 8000)
    assert (settings.projector, settings.playground, settings.log_level) == (True, True, "info")


FROM_ENVIRONMENT = [
    ("STORE_URL", "sqlite:////srv/x.db", "sqlite:////srv/x.db"),
    ("COSMOS_KEY", "swordfish", SecretStr("swordfish")),
    ("COSMOS_DATABASE", "shop", "shop"),
    ("COSMOS_THROUGHPUT", "shared", "shared"),
    ("COSMOS_AUTOSCALE_MAX", "4000", 4000),
    ("COSMOS_POLL_S", "2", 2.0),
    ("HOST", "::1", "::1"),
    ("PORT", "0", 0),
    ("PROJECTOR", "false", False),
    ("PLAYGROUND", "0", False),
    ("DESK", "0", False),
    ("GATEWAY_LAB", "1", True),
    ("LAB_SEED", "7", 7),
    ("LOG_LEVEL", "debug", "debug"),
    ("LOG_FORMAT", "json", "json"),
    ("METRICS", "false", False),
    ("METRICS_PORT", "9100", 9100),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318", "http://localhost:4318"),
    ("OTEL_SERVICE_NAME", "shop", "shop"),
    ("FEED_RANGES", "100", 100),
    ("AGGREGATE_CACHE", "1", 1),
    ("COMMAND_RETENTION_DAYS", "30", 30),
    ("LEASE_ACQUIRE_S", "0.5", 0.5),
    ("LEASE_RENEW_S", "7", 7.0),
    ("LEASE_EXPIRY_S", "30", 30.0),
    ("CHECKPOINT_S", "0.5", 0.5),
    ("SIGNING_KEY", "k" * 32, SecretStr("k" * 32)),
    ("MAX_WAIT_MS", "0", 0),
    ("FRESHNESS_S", "0.5", 0.5),
    ("READY_LAG_S", "0", 0.0),
    ("SOCKET_INIT_S", "0.5", 0.5),
    ("SOCKET_OPERATIONS", "1", 1),
    ("KEEP_ALIVE_S", "0.5", 0.5),
    ("COMPRESS_BYTES", "0", 0),
    ("DRAIN_S", "0", 0.0),
]


def test_every_setting_is_tried_here() -> None:
    assert [name for name, _, _ in FROM_ENVIRONMENT] == NAMES


@pytest.mark.parametrize(("name", "text", "value"), FROM_ENVIRONMENT)
def test_a_setting_is_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object
) -> None:
    monkeypatch.setenv(name, text)
    assert getattr(read_settings(), name.lower()) == value


@pytest.mark.parametrize(("given", "port"), [(None, 9000), (7000, 7000), (0, 0)])
def test_an_option_goes_first_if_it_is_given(monkeypatch: pytest.MonkeyPatch, given: int | None, port: int) -> None:
    monkeypatch.setenv("PORT", "9000")
    assert read_settings(port=given).port == port


BAD = [
    ("PORT", "65536"),
    ("PORT", "-1"),
    ("PORT", "http"),
    ("PORT", ""),
    ("PROJECTOR", "perhaps"),
    ("LOG_LEVEL", "loud"),
    ("LOG_FORMAT", "xml"),
    ("METRICS_PORT", "65536"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
    ("COSMOS_AUTOSCALE_MAX", "999"),
    ("COSMOS_POLL_S", "0"),
    ("FEED_RANGES", "0"),
    ("FEED_RANGES", "101"),
    ("AGGREGATE_CACHE", "0"),
    ("COMMAND_RETENTION_DAYS", "0"),
    ("COMMAND_RETENTION_DAYS", "0.5"),
    ("COMMAND_RETENTION_DAYS", "24856"),
    ("COMMAND_RETENTION_DAYS", ""),
    ("LEASE_RENEW_S", "0"),
    ("LEASE_EXPIRY_S", "nan"),
    ("SIGNING_KEY", "k" * 31),
    ("MAX_WAIT_MS", "-1"),
    ("FRESHNESS_S", "0"),
    ("READY_LAG_S", "-1"),
    ("SOCKET_INIT_S", "0"),
    ("SOCKET_OPERATIONS", "0"),
    ("KEEP_ALIVE_S", "0"),
    ("DRAIN_S", "-1"),
]


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_setting_that_cannot_be_is_named_with_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(BadSettings) as refused:
        read_settings()
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"{name}: ")
    assert line.endswith(f"not {text!r}")


def test_traces_need_what_the_extra_installs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.settings.find_spec", lambda name: None)
    with pytest.raises(BadSettings, match="OTEL_EXPORTER_OTLP_ENDPOINT: needs the extra `otel` to be installed"):
        read_settings(otel_exporter_otlp_endpoint="http://localhost:4318")


def test_each_setting_that_cannot_be_has_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "http")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    with pytest.raises(BadSettings) as refused:
        read_settings(feed_ranges=0)
    assert [line.partition(":")[0] for line in str(refused.value).splitlines()] == ["PORT", "LOG_LEVEL", "FEED_RANGES"]


def test_the_key_is_not_shown_with_the_settings() -> None:
    settings = read_settings(cosmos_key="swordfish")
    assert "swordfish" not in f"{settings!r} {settings} {settings.model_dump()}"
    assert settings.secret_key == "swordfish"


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_documented_with_its_default(name: str) -> None:
    (row,) = [row for row in DOCUMENTED.splitlines() if row.startswith(f"| `{name}` |")]
    default = Settings.model_fields[name.lower()].default
    shown = "" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"
    assert row.split("|")[2].strip() == shown
