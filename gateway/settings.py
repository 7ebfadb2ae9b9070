"""The settings, all of them, read from the environment in this place only."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

OFF_IN_PRODUCTION = {"playground": False, "desk": False, "metrics": False}
"""What is off in production unless it is set: it tells those who look around more than they need."""


class Settings(BaseSettings):
    """What can be set, each by the environment variable of its name in capitals; described in docs/settings.md."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    gateway_env: Literal["development", "production"] = Field(
        "development",
        description="`production` refuses to serve without what keeps others out, bounds the load, and switches off "
        "what is for trying.",
    )
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
    token_jwks_url: str | None = Field(
        None, description="Where the public keys are that bearer tokens are signed with."
    )
    token_secret: SecretStr | None = Field(
        None, min_length=32, description="What bearer tokens are signed with in development, instead of such keys."
    )
    token_issuer: str | None = Field(None, min_length=1, description="Who must have issued a token: its `iss`.")
    token_audience: str | None = Field(None, min_length=1, description="Who a token must be for: its `aud`.")
    token_customer_claim: str = Field("customer", min_length=1, description="The claim with the customer's id.")
    token_roles_claim: str = Field("roles", min_length=1, description="The claim with roles, of which `staff` counts.")
    token_leeway_s: float = Field(
        30.0, ge=0, le=600, description="Seconds by which the clocks of issuer and gateway may differ."
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

    introspection: bool | None = Field(
        None, description="Whether clients may ask for the schema, and are told what they may have meant."
    )
    max_document_characters: int = Field(50_000, ge=1, description="Characters that a document may have.")
    max_tokens: int = Field(1_000, ge=1, description="Tokens that a document may have.")
    max_depth: int = Field(16, ge=1, description="Levels of fields that a document may select.")
    max_selections: int = Field(
        1_000, ge=1, description="Fields that an operation may select, with what its fragments spread."
    )
    max_aliases: int = Field(50, ge=0, description="Aliases that an operation may have, counted likewise.")
    max_directives: int = Field(50, ge=0, description="Directives that a document may have.")
    max_fragments: int = Field(50, ge=0, description="Fragments that a document may have.")
    max_cost: int = Field(5_000, ge=1, description="What an operation may cost.")
    operation_timeout_s: float = Field(
        30.0, ge=0, description="Seconds that a query or a command may take; 0: any number."
    )
    trusted_documents: Path | None = Field(
        None, description="A file of the documents of the client's build, which are asked for by their hashes."
    )
    trusted_only: bool = Field(False, description="Whether nothing but trusted documents is executed.")
    cors_origins: str | None = Field(
        None, description="The origins, separated by commas, of other pages that may ask, as in `https://shop.example`."
    )
    max_variable_values: int = Field(
        2_000, ge=1, description="Values that the variables of an operation may have, lists and objects among them."
    )
    max_body_bytes: int = Field(300_000, ge=1, description="Bytes of a request's body, or of a socket's message.")
    max_header_bytes: int = Field(32_768, ge=1_024, description="Bytes of a request's headers, its address included.")
    request_timeout_s: float = Field(30.0, gt=0, description="Seconds within which a request must have arrived.")
    send_timeout_s: float = Field(60.0, gt=0, description="Seconds that an answer may wait for a client to read.")
    max_connections: int = Field(10_000, ge=1, description="Connections that may be open, sockets among them.")
    connections_per_address: int | None = Field(
        None, ge=0, description="Connections of a peer that are no sockets; 0: any number."
    )
    max_sockets: int = Field(10_000, ge=1, description="WebSockets that may be open.")
    sockets_per_address: int | None = Field(None, ge=0, description="WebSockets of an address; 0: any number.")
    max_subscriptions: int = Field(20_000, ge=0, description="Subscriptions that may be followed; 0: any number.")
    subscriptions_per_identity: int | None = Field(None, ge=0, description="Subscriptions of a client; 0: any number.")
    max_running: int = Field(1_000, ge=0, description="Queries and commands at a time; 0: any number.")
    max_commands: int | None = Field(None, ge=0, description="Commands among them; 0: any number.")
    max_waiting: int = Field(500, ge=0, description="Queries that may wait for a write at a time; 0: any number.")
    max_lag_s: float | None = Field(
        None, ge=0, description="Seconds that what is to be executed may wait for its turn; 0: any number."
    )
    rate_per_identity: float | None = Field(
        None, ge=0, description="Cost per second that a client may ask for, ten seconds' at once; 0: any."
    )
    rate_per_address: float | None = Field(None, ge=0, description="Cost per second from an address, likewise; 0: any.")
    rate_shared: bool = Field(False, description="Whether the processes on one store keep these two rates together.")

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: str | None) -> str | None:
        for origin in filter(None, map(str.strip, (origins or "").split(","))):
            parts = urlsplit(origin)
            if (
                parts.scheme not in ("http", "https")
                or not parts.netloc
                or origin != f"{parts.scheme}://{parts.netloc}"
            ):
                raise PydanticCustomError("origin", "must be origins, such as https://shop.example")
        return origins

    @model_validator(mode="before")
    @classmethod
    def _as_in_production(cls, given: dict[str, object]) -> dict[str, object]:
        return OFF_IN_PRODUCTION | given if given.get("gateway_env") == "production" else given

    @field_validator("token_jwks_url")
    @classmethod
    def _can_be_fetched(cls, url: str | None) -> str | None:
        if url is not None and not (url.startswith(("http://", "https://")) and urlsplit(url).hostname):
            raise PydanticCustomError("url", "must be an http:// or https:// address")
        return url

    @field_validator("token_secret")
    @classmethod
    def _is_the_only_key(cls, secret: SecretStr | None, known: ValidationInfo) -> SecretStr | None:
        if secret and known.data.get("token_jwks_url"):
            raise PydanticCustomError("one_kind", "must not be set beside TOKEN_JWKS_URL")
        return secret

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
    def origins(self) -> frozenset[str]:
        """The other origins whose pages may ask."""
        return frozenset(filter(None, (origin.strip().lower() for origin in (self.cors_origins or "").split(","))))

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
        # A secret must not be told by what is said of it, nor by the error that is behind it.
        lines = []
        for fault in error.errors():
            name = str(fault["loc"][0])
            shown = "" if name in SECRETS else f", not {fault['input']!r}"
            lines.append(f"{name.upper()}: {fault['msg']}{shown}")
        raise BadSettings("\n".join(lines)) from None


SECRETS = frozenset(name for name, field in Settings.model_fields.items() if SecretStr in get_args(field.annotation))
"""The settings that must not be shown."""
