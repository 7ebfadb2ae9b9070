"""The limits as they are configured."""

from dataclasses import dataclass, field
from typing import TypeVar

from gateway.execution.operation import NotExecutable, Operation
from gateway.limits.bounds import Bounds
from gateway.limits.connections import Connections
from gateway.limits.load import Load
from gateway.limits.persisted import BadManifest, Persisted, read_manifest
from gateway.limits.rates import Held, Rate
from gateway.limits.running import Running
from gateway.limits.variables import LEAST_BYTES, values_in
from gateway.settings import BadSettings, Settings

T = TypeVar("T")

BURST_S = 10
"""What may be asked for at once: as much as in so many seconds."""


@dataclass(frozen=True)
class Limits:
    """All of them, of one process."""

    bounds: Bounds = field(default_factory=Bounds)
    running: Running = field(default_factory=Running)
    load: Load = field(default_factory=Load)
    persisted: Persisted = field(default_factory=Persisted)
    connections: Connections = field(default_factory=Connections)
    origins: frozenset[str] = frozenset()
    body_bytes: int = 300_000
    variable_values: int = 2_000

    def found(self, operation: Operation, size: int | None = None) -> Operation:
        """The operation with its document, its variables within bounds; `size` is that of their text, if it is known.

        Raises NotExecutable.
        """
        most = self.variable_values
        may_be_many = operation.variables and (size is None or size > LEAST_BYTES * most)
        if may_be_many and values_in(operation.variables or {}, most) > most:
            raise NotExecutable(f"The variables have more than {most} values.", "VARIABLES_LIMIT")
        return self.persisted.found(operation)


def limits_of(settings: Settings) -> Limits:
    """The limits that are set. Raises BadSettings for a file of trusted documents that cannot be used."""
    production = settings.gateway_env == "production"

    def unless_set(value: T | None, development: T, production_: T) -> T:
        return value if value is not None else production_ if production else development

    return Limits(
        bounds=Bounds(
            characters=settings.max_document_characters,
            tokens=settings.max_tokens,
            depth=settings.max_depth,
            selections=settings.max_selections,
            aliases=settings.max_aliases,
            directives=settings.max_directives,
            fragments=settings.max_fragments,
            cost=settings.max_cost,
            introspection=unless_set(settings.introspection, True, False),
            suggestions=unless_set(settings.introspection, True, False),
        ),
        running=Running(
            settings.max_running,
            settings.operation_timeout_s,
            unless_set(settings.max_lag_s, 0.0, 0.1),
            unless_set(settings.max_commands, 0, 50),
        ),
        load=Load(
            by_identity=_rate(unless_set(settings.rate_per_identity, 0.0, 500.0)),
            by_address=_rate(unless_set(settings.rate_per_address, 0.0, 2000.0)),
            sockets=Held(settings.max_sockets, unless_set(settings.sockets_per_address, 0, 100)),
            subscriptions=Held(settings.max_subscriptions, unless_set(settings.subscriptions_per_identity, 0, 200)),
        ),
        persisted=_persisted(settings),
        connections=Connections(
            at_most=settings.max_connections,
            request_s=settings.request_timeout_s,
            send_s=settings.send_timeout_s,
            header_bytes=settings.max_header_bytes,
            held=Held(0, unless_set(settings.connections_per_address, 0, 500)),
        ),
        origins=settings.origins,
        body_bytes=settings.max_body_bytes,
        variable_values=settings.max_variable_values,
    )


def _rate(per_second: float) -> Rate | None:
    return Rate(per_second, per_second * BURST_S) if per_second else None


def _persisted(settings: Settings) -> Persisted:
    if settings.trusted_documents is None:
        if settings.trusted_only:
            raise BadSettings("TRUSTED_ONLY: needs TRUSTED_DOCUMENTS, the file that has the documents")
        return Persisted()
    try:
        return Persisted(read_manifest(settings.trusted_documents), only=settings.trusted_only)
    except BadManifest as error:
        raise BadSettings(f"TRUSTED_DOCUMENTS: {settings.trusted_documents} {error}") from error
