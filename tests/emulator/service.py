"""The service behind the wire: checks the signature, applies faults, and hands each request to its handler."""

import time
from collections import Counter, deque

from . import auth, resources, tokens
from .account import Account
from .calls import Call
from .containers import Container
from .errors import ServiceError
from .faults import ITEM_KINDS, Faults
from .items import Items
from .partitions import Partition
from .replies import Reply, failure

KEPT_REQUESTS = 100_000


class Service:
    """An account with its faults, its clock and a log of what was asked.

    `requests` lists (method, kind) of the latest requests, `charged` sums their charges.
    """

    def __init__(self, key: str, partitions: int) -> None:
        self.key = key
        self.url = ""
        self.identities: set[str] = set()
        """Bearer tokens that are taken for those of an identity with the role of a data contributor."""
        self.faults = Faults()
        self.requests: deque[tuple[str, str]] = deque(maxlen=KEPT_REQUESTS)
        self.charged = 0.0
        self._ahead = 0.0
        self.account = Account(partitions, self.now)

    # ------------------------------------------------------------------------------------------ for tests

    def now(self) -> float:
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Move the server's clock forward: items expire without waiting."""
        self._ahead += seconds

    def counts(self) -> Counter[str]:
        """How many requests of each kind there were."""
        return Counter(kind for _, kind in self.requests)

    def container(self, database: str, container: str) -> Container:
        return self.account.container(database, container)

    def split(self, database: str, container: str, pkrange_id: str) -> list[Partition]:
        """Split a physical partition; requests for the old range get 410/1002 from now on."""
        return self.container(database, container).split(pkrange_id)

    def merge(self, database: str, container: str, first: str, second: str) -> Partition:
        """Merge two neighbouring physical partitions."""
        return self.container(database, container).merge(first, second)

    # ------------------------------------------------------------------------------------------ for the wire

    def answer(self, call: Call, activity: str) -> Reply:
        """The reply to a request, also when it is an error."""
        try:
            reply = self._answer(call)
        except ServiceError as error:
            reply = failure(error, activity)
        self.charged += reply.charge
        self.faults.spend(reply.charge)
        return reply

    def _answer(self, call: Call) -> Reply:
        kind = call.kind
        self._authorize(call)
        rule = self.faults.take("fail", kind, call.container)
        if rule is not None:
            raise rule.error()
        if self.faults.budget is not None and self.faults.budget <= 0 and kind in ITEM_KINDS:
            self.faults.fail(429, retry_after_ms=5)
            raise self.faults.rules.pop().error()
        match kind:
            case "account":
                return Reply(200, self.account.document(self.url))
            case "database":
                return resources.databases(self.account, call)
            case "container":
                return resources.containers(self.account, call)
            case "offer":
                return resources.offers(self.account, call)
            case "user":
                return resources.shelved(self.account.database(call.parts[1]).users, call)
            case "permission":
                return self._permissions(call)
        container = self.account.container(call.parts[1], call.parts[3], owner=True)
        if kind == "script":
            return resources.shelved(container.scripts[call.parts[4]], call)
        if kind == "pkranges":
            return resources.partition_key_ranges(container, call)
        if kind == "conflict":
            return resources.conflicts(container, call)
        names = (self.account.database(call.parts[1]).document["id"], container.document["id"])
        return Items(container, names, self.faults).answer(kind, call)

    def _authorize(self, call: Call) -> None:
        token = auth.token_of(call.headers)
        if token.get("type") == "resource":
            tokens.check(self.account, self.key, token.get("sig", ""), call)
        elif token.get("type") == "aad":
            auth.identify(self.identities, token)
        else:
            auth.verify(self.key, token, call.method, call.parts, call.headers)

    def _permissions(self, call: Call) -> Reply:
        """Permissions are answered with a fresh token each."""
        until = self.now() + tokens.lifetime(call.headers)
        reply = resources.shelved(self.account.database(call.parts[1]).permissions_of(call.parts[3]), call)
        body = reply.body or {}
        for permission in body.get("Permissions", [body]):
            if isinstance(permission, dict) and "permissionMode" in permission and "resource" in permission:
                permission["_token"] = tokens.issue(self.key, permission, until)
        return reply
