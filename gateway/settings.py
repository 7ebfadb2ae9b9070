"""The settings, all of them, read from the environment in this place only."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What can be set, each by the environment variable of its name in capitals; described in docs/settings.md."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    store_url: str = Field(
        "sqlite:///data/gateway.db",
        description="The store: `sqlite:///` and the path of a file, or the address of a Cosmos DB account.",
    )
    cosmos_key: SecretStr | None = Field(None, description="The account's key; without it, the process' own identity.")
    cosmos_database: str = Field("gateway", description="The database in the account.")
    cosmos_throughput: Literal["serverless", "shared", "autoscale"] = Field(
        "serverless",
        description="What `gateway provision` sets: no throughput, one autoscale maximum for the database, or for each "
        "container.",
    )
    cosmos_autoscale_max: int = Field(
        1000, ge=1000, multiple_of=1000, description="The autoscale maximum in RU/s, of the database or each container."
    )
    cosmos_poll_s: float = Field(
        0.25, gt=0, description="Seconds between looks at each feed for what other processes have committed."
    )
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    projector: bool = Field(True, description="Whether `gateway serve` projects too, in the same process.")
    playground: bool = Field(True, description="Whether the playground is served at `/`.")
    desk: bool = Field(True, description="Whether the order desk is served at `/desk`.")
    gateway_lab: bool = Field(False, description="Whether the desk has a lab; for development only.")
    lab_seed: int = Field(1729, description="What decides where the lab leaves it to chance.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged at least.")
    log_format: Literal["text", "json"] = Field("text", description="Lines for people, or a JSON object per line.")
    metrics: bool = Field(True, description="Whether `gateway serve` has metrics at `/metrics`.")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="A port for metrics and health, of each process its own; 0 takes a free one.",
    )
    otel_exporter_otlp_endpoint: str | None = Field(
        None, description="The OpenTelemetry collector that traces are sent to; without it there are none."
    )
    otel_service_name: str = Field("gateway", description="The service that traces name.")
    feed_ranges: int = Field(
        4, ge=1, le=100, description="Feed ranges of a new SQLite store; an existing one keeps its own."
    )
    aggregate_cache: int = Field(10_000, ge=1, description="How many recently used orders a process remembers.")
    command_retention_days: int | None = Field(
        None,
        ge=1,
        le=24_855,
        description="Days after which the store drops the documents of commands; without it they are kept.",
    )
    lease_acquire_s: float = Field(1.0, gt=0, description="Seconds between looks at a lease that another worker has.")
    lease_renew_s: float = Field(3.0, gt=0, description="Seconds between renewals of a lease.")
    lease_expiry_s: float = Field(
        12.0, gt=0, description="Seconds of silence after which a lease's owner counts as gone."
    )
    checkpoint_s: float = Field(
        1.0, gt=0, description="Seconds between checkpoints of a feed range that is being projected."
    )
    signing_key: SecretStr | None = Field(
        None,
        min_length=32,
        description="What cursors and consistency tokens are signed with; without it a key that the store keeps.",
    )
    max_wait_ms: int = Field(10_000, ge=0, description="Milliseconds that a query may wait for a write, at most.")
    freshness_s: float = Field(
        2.0, gt=0, description="Seconds between looks at how far the read model is behind the write model."
    )
    ready_lag_s: float = Field(
        60.0, ge=0, description="Seconds that the read model may be behind for `/readyz` to say ready; 0: any number."
    )

    socket_init_s: float = Field(
        10.0, gt=0, description="Seconds that a client has for `connection_init` after it has opened a WebSocket."
    )
    socket_operations: int = Field(100, ge=1, description="Operations that one WebSocket may have at a time.")
    keep_alive_s: float = Field(
        15.0, gt=0, description="Seconds between signs of life on sockets and streams: pings, comments, empty parts."
    )
    compress_bytes: int = Field(
        2000, ge=0, description="From this size on answers are compressed for clients that accept it; 0: never."
    )
    drain_s: float = Field(
        5.0, ge=0, description="Seconds that sockets and streams may take to end when the process is told to."
    )

    @field_validator("otel_exporter_otlp_endpoint")
    @classmethod
    def _can_be_exported_to(cls, endpoint: str | None) -> str | None:
        if endpoint is not None:
            if not endpoint.startswith(("http://", "https://")):
                raise PydanticCustomError("endpoint", "must be an http:// or https:// address")
            if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
                raise PydanticCustomError("extra", "needs the extra `otel` to be installed")
        return endpoint

    @property
    def on_cosmos(self) -> bool:
        """Whether the store is an account of Cosmos DB."""
        return self.store_url.startswith(("https://", "http://"))

    @property
    def sqlite_file(self) -> Path | None:
        """The file of a SQLite store; None for any other."""
        prefix = "sqlite:///"
        return Path(self.store_url.removeprefix(prefix)) if self.store_url.startswith(prefix) else None

    @property
    def command_retention_s(self) -> int | None:
        """The retention of commands in seconds; None: for ever."""
        return self.command_retention_days and self.command_retention_days * 86_400

    @property
    def secret_key(self) -> str | None:
        """The account's key in plain text, for the store alone."""
        return self.cosmos_key.get_secret_value() if self.cosmos_key else None


class BadSettings(Exception):
    """Settings that cannot be; the message has a line for each."""


def read_settings(**given: object) -> Settings:
    """The settings from the environment, with `given` ones in front. Raises BadSettings."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [f"{str(fault['loc'][0]).upper()}: {fault['msg']}, not {fault['input']!r}" for fault in error.errors()]
        raise BadSettings("\n".join(lines)) from error
