"""Misbehaviour on demand: each fault applies to the next requests of a kind, then the server is well again."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from .errors import ServiceError

Fault = Literal["fail", "drop_before", "drop_after", "delay", "duplicate_feed", "fail_operation", "lag"]

ITEM_KINDS = frozenset({"read", "create", "replace", "upsert", "patch", "delete", "batch", "query", "feed", "pkdelete"})
"""The kinds that a fault without a kind applies to."""

MESSAGES = {
    408: "Request timed out.",
    410: "The requested resource is no longer available at the server.",
    429: "Request rate is large. More Request Units may be needed, so no changes were made. Please retry this request "
    "later.",
    449: "Conflicting request to resource has been attempted. Retry to avoid conflicts.",
    503: "Service is currently unavailable.",
}
SUBSTATUS = {429: 3200, 410: 1002, 403: 3}


@dataclass(slots=True)
class Rule:
    """One fault: for the next `times` requests of `kind` (None: any on items) to `container` (None: any)."""

    fault: Fault
    times: int
    kind: str | None = None
    container: str | None = None
    status: int = 0
    substatus: int = 0
    retry_after_ms: int | None = None
    seconds: float = 0.0
    index: int = 0

    def error(self) -> ServiceError:
        headers = {} if self.retry_after_ms is None else {"x-ms-retry-after-ms": str(self.retry_after_ms)}
        return ServiceError(self.status, MESSAGES.get(self.status, "Injected."), self.substatus, headers, charge=0.38)


OperationFault = Rule


@dataclass(slots=True)
class Faults:
    """The faults that wait for their request. `budget` is the units left before everything is throttled."""

    rules: list[Rule] = field(default_factory=list)
    budget: float | None = None

    def fail(
        self,
        status: int,
        times: int = 1,
        *,
        kind: str | None = None,
        substatus: int | None = None,
        retry_after_ms: int | None = None,
        container: str | None = None,
    ) -> None:
        """Answer with `status`, nothing applied."""
        sub = SUBSTATUS.get(status, 0) if substatus is None else substatus
        self.rules.append(Rule("fail", times, kind, container, status, sub, retry_after_ms))

    def throttle(self, times: int = 1, *, kind: str | None = None, retry_after_ms: int = 5) -> None:
        """Answer 429."""
        self.fail(429, times, kind=kind, retry_after_ms=retry_after_ms)

    def fail_operation(self, status: int, times: int = 1, *, index: int = 0, retry_after_ms: int | None = None) -> None:
        """Let operation `index` of a batch fail with `status` inside a 207."""
        substatus = SUBSTATUS.get(status, 0)
        self.rules.append(Rule("fail_operation", times, "batch", None, status, substatus, retry_after_ms, index=index))

    def drop(
        self, when: Literal["before", "after"], times: int = 1, *, kind: str | None = None, container: str | None = None
    ) -> None:
        """Cut the connection without an answer, before or after the request was applied."""
        self.rules.append(Rule("drop_before" if when == "before" else "drop_after", times, kind, container))

    def delay(self, seconds: float, times: int = 1, *, kind: str | None = None) -> None:
        """Answer late."""
        self.rules.append(Rule("delay", times, kind, seconds=seconds))

    def duplicate_feed(self, times: int = 1) -> None:
        """Deliver a page of the feed again: from where the previous request for that scope started."""
        self.rules.append(Rule("duplicate_feed", times, "feed"))

    def stale_session(self, times: int = 1, *, kind: str = "read") -> None:
        """Answer 404/1002: this replica has not seen the session's writes yet."""
        self.fail(404, times, kind=kind, substatus=1002)

    def lag(self, times: int = 1) -> None:
        """Have reads answered by a replica that has not seen its partition's latest transaction yet.

        To a session that has, it says 404/1002; to others, that an item of that transaction does not exist.
        """
        self.rules.append(Rule("lag", times, "read"))

    def clear(self) -> None:
        self.rules.clear()
        self.budget = None

    def take(self, fault: Fault, kind: str, container: str | None) -> Rule | None:
        """The rule of that sort which applies to this request, one use of it spent."""
        for rule in self.rules:
            fits = kind in ITEM_KINDS if rule.kind is None else rule.kind == kind
            if rule.fault == fault and fits and rule.container in (None, container):
                rule.times -= 1
                if rule.times <= 0:
                    self.rules.remove(rule)
                return rule
        return None

    def add(self, order: dict[str, Any]) -> None:
        """Add the fault that a control request describes: {"fault": name of a method here, its arguments...}."""
        name = order.pop("fault", None)
        methods: dict[str, Callable[..., None]] = {
            "fail": self.fail,
            "throttle": self.throttle,
            "fail_operation": self.fail_operation,
            "drop": self.drop,
            "delay": self.delay,
            "duplicate_feed": self.duplicate_feed,
            "stale_session": self.stale_session,
            "lag": self.lag,
        }
        if name == "budget":
            self.budget = float(order["units"])
        elif name in methods:
            methods[name](**order)
        else:
            raise ServiceError(400, f"Unknown fault {name!r}.")

    def spend(self, charge: float) -> None:
        if self.budget is not None:
            self.budget -= charge
