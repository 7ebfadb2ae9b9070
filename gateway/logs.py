"""What is logged, how, and how much: to stderr, as text for people or as one JSON object per line.

A client may cause records, but no more than BURST from one place in the code within WINDOW_S.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

PACKAGES = ("gateway", "schema", "projector", "write_model", "read_model", "store")
BURST = 20
WINDOW_S = 10.0

KNOWN: ContextVar[Mapping[str, str]] = ContextVar("known", default={})  # noqa: B039  never changed, only replaced
"""What is logged carries these fields."""


class bound:  # used as a function is
    """What is logged in the context carries these fields."""

    __slots__ = ("_fields", "_token")

    def __init__(self, **fields: str) -> None:
        self._fields = fields

    def __enter__(self) -> None:
        self._token = KNOWN.set({**KNOWN.get(), **self._fields})

    def __exit__(self, *_: object) -> None:
        with suppress(ValueError):  # what another task closes was known in a context that has gone with its own
            KNOWN.reset(self._token)


def config(level: str, format: str) -> dict[str, Any]:
    """The configuration for `logging.config.dictConfig`: `level` for our packages, at least INFO for others' loggers.

    Others may log at DEBUG what they send and receive; Azure's SDK says at INFO what it asks.
    """
    chosen = logging.getLevelNamesMapping()[level.upper()]
    others = {"level": max(chosen, logging.INFO)}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": {"()": f"gateway.logs.{'Json' if format == 'json' else 'Text'}Formatter"}},
        "filters": {"bounded": {"()": "gateway.logs.Bounded"}, "unasked": {"()": "gateway.logs.WithoutQueries"}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "chosen",
                "filters": ["bounded", "unasked"],
            }
        },
        "root": {"handlers": ["stderr"], **others},
        "loggers": {
            **{name: {"level": chosen} for name in PACKAGES},
            **{name: {"handlers": [], "propagate": True, **others} for name in ("uvicorn", "uvicorn.error")},
            "azure": {"level": max(chosen, logging.WARNING)},
        },
    }


class JsonFormatter(logging.Formatter):
    """One JSON object: time, level, logger, message, what is known of the request, and the traceback as `error`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record on one line."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_more(record),
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return json.dumps(told)


class TextFormatter(logging.Formatter):
    """Time, level, logger, message, then what is known of the request; a traceback follows."""

    def format(self, record: logging.LogRecord) -> str:
        """The record for people."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(" ", "milliseconds")
        more = "".join(f" {name}={value}" for name, value in _more(record).items())
        line = f"{moment[:-6]} {record.levelname:<7} {record.name}: {record.getMessage()}{more}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class Bounded(logging.Filter):
    """Lets BURST records from one place in the code through per WINDOW_S; the next one carries how many were not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record may pass."""
        place, now = (record.pathname, record.lineno), self._clock()
        since, count = self._seen.get(place, (now, 0))
        if now - since >= WINDOW_S:
            if count > BURST:
                record.suppressed = count - BURST
            since, count = now, 0
        self._seen[place] = since, count + 1
        return count < BURST


class WithoutQueries(logging.Filter):
    """Cuts the queries off the addresses that uvicorn logs of sockets: a token may be in them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """True: the record may pass."""
        if record.name == "uvicorn.error" and isinstance(record.args, tuple):
            record.args = tuple(one.partition("?")[0] if isinstance(one, str) else one for one in record.args)
        return True


def _more(record: logging.LogRecord) -> dict[str, Any]:
    suppressed: int | None = getattr(record, "suppressed", None)
    return {**KNOWN.get(), **({"suppressed": suppressed} if suppressed else {})}
