"""Settings: from the environment, in one place, with a sentence for each that cannot be."""

import re
import traceback
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.settings import OFF_IN_PRODUCTION, SECRETS, BadSettings, Settings, read_settings

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
    ("GATEWAY_ENV", "production", "production"),
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
    ("TOKEN_JWKS_URL", "https://issuer.example/keys", "https://issuer.example/keys"),
    ("TOKEN_SECRET", "t" * 32, SecretStr("t" * 32)),
    ("TOKEN_ISSUER", "https://issuer.example", "https://issuer.example"),
    ("TOKEN_AUDIENCE", "orders", "orders"),
    ("TOKEN_CUSTOMER_CLAIM", "sub", "sub"),
    ("TOKEN_ROLES_CLAIM", "https://shop/roles", "https://shop/roles"),
    ("TOKEN_LEEWAY_S", "0", 0.0),
    ("MAX_WAIT_MS", "0", 0),
    ("FRESHNESS_S", "0.5", 0.5),
    ("READY_LAG_S", "0", 0.0),
    ("SOCKET_INIT_S", "0.5", 0.5),
    ("SOCKET_OPERATIONS", "1", 1),
    ("KEEP_ALIVE_S", "0.5", 0.5),
    ("COMPRESS_BYTES", "0", 0),
    ("DRAIN_S", "0", 0.0),
    ("INTROSPECTION", "false", False),
    ("MAX_DOCUMENT_CHARACTERS", "1", 1),
    ("MAX_TOKENS", "1", 1),
    ("MAX_DEPTH", "1", 1),
    ("MAX_SELECTIONS", "1", 1),
    ("MAX_ALIASES", "0", 0),
    ("MAX_DIRECTIVES", "0", 0),
    ("MAX_FRAGMENTS", "0", 0),
    ("MAX_COST", "1", 1),
    ("OPERATION_TIMEOUT_S", "0", 0.0),
    ("TRUSTED_DOCUMENTS", "documents.json", Path("documents.json")),
    ("TRUSTED_ONLY", "true", True),
    ("CORS_ORIGINS", "https://a.example, http://b:1", "https://a.example, http://b:1"),
    ("MAX_VARIABLE_VALUES", "1", 1),
    ("MAX_BODY_BYTES", "1", 1),
    ("MAX_HEADER_BYTES", "1024", 1024),
    ("REQUEST_TIMEOUT_S", "0.5", 0.5),
    ("SEND_TIMEOUT_S", "0.5", 0.5),
    ("MAX_CONNECTIONS", "1", 1),
    ("CONNECTIONS_PER_ADDRESS", "0", 0),
    ("MAX_SOCKETS", "1", 1),
    ("SOCKETS_PER_ADDRESS", "0", 0),
    ("MAX_SUBSCRIPTIONS", "0", 0),
    ("SUBSCRIPTIONS_PER_IDENTITY", "0", 0),
    ("MAX_RUNNING", "0", 0),
    ("MAX_COMMANDS", "50", 50),
    ("MAX_WAITING", "0", 0),
    ("MAX_LAG_S", "0.5", 0.5),
    ("RATE_PER_IDENTITY", "0", 0.0),
    ("RATE_PER_ADDRESS", "0", 0.0),
    ("RATE_SHARED", "true", True),
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
    ("GATEWAY_ENV", "prod"),
    ("TOKEN_JWKS_URL", "issuer.example/keys"),
    ("TOKEN_JWKS_URL", "https://"),
    ("TOKEN_ISSUER", ""),
    ("TOKEN_AUDIENCE", ""),
    ("TOKEN_LEEWAY_S", "-1"),
    ("TOKEN_LEEWAY_S", "601"),
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
    ("MAX_WAIT_MS", "-1"),
    ("FRESHNESS_S", "0"),
    ("READY_LAG_S", "-1"),
    ("SOCKET_INIT_S", "0"),
    ("SOCKET_OPERATIONS", "0"),
    ("KEEP_ALIVE_S", "0"),
    ("DRAIN_S", "-1"),
    ("GATEWAY_ENV", "staging"),
    ("MAX_TOKENS", "0"),
    ("CORS_ORIGINS", "*"),
    ("CORS_ORIGINS", "https://a.example/"),
    ("CORS_ORIGINS", "null"),
    ("MAX_HEADER_BYTES", "1000"),
    ("REQUEST_TIMEOUT_S", "0"),
    ("RATE_PER_ADDRESS", "-1"),
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


SECRET = "swordfish" * 4


def test_what_is_called_a_key_or_a_secret_is_one_to_the_settings() -> None:
    called = {name for name in Settings.model_fields if re.search("key$|secret|password", name)}
    assert called == {"cosmos_key", "signing_key", "token_secret"} == SECRETS


def test_a_secret_is_not_shown_with_the_settings() -> None:
    settings = read_settings(**dict.fromkeys(SECRETS, SECRET))
    assert "swordfish" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert settings.secret_key == SECRET


@pytest.mark.parametrize("name", sorted(SECRETS - {"cosmos_key"}))
def test_a_secret_that_cannot_be_is_not_shown_either(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name.upper(), "swordfish")
    with pytest.raises(BadSettings) as refused:
        read_settings()
    assert str(refused.value).startswith(f"{name.upper()}: ")
    assert "swordfish" not in "".join(traceback.format_exception(refused.value))


def test_tokens_are_signed_in_one_way() -> None:
    with pytest.raises(BadSettings, match=r"^TOKEN_SECRET: must not be set beside TOKEN_JWKS_URL"):
        read_settings(token_secret=SECRET, token_jwks_url="https://issuer.example/keys")


@pytest.mark.parametrize("name", OFF_IN_PRODUCTION)
def test_what_is_for_trying_is_off_in_production_unless_it_is_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert getattr(read_settings(), name) is True
    monkeypatch.setenv("GATEWAY_ENV", "production")
    assert getattr(read_settings(), name) is False
    monkeypatch.setenv(name.upper(), "true")
    assert getattr(read_settings(), name) is True


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_documented_with_its_default(name: str) -> None:
    (row,) = [row for row in DOCUMENTED.splitlines() if row.startswith(f"| `{name}` |")]
    default = Settings.model_fields[name.lower()].default
    shown = "" if default is None else f"`{str(default).lower() if isinstance(default, bool) else default}`"
    assert row.split("|")[2].strip() == shown
