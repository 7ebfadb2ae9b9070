"""The session that this process has with a container: what it was shown once, every replica shows it from then on.

The SDK keeps one as well, but does not note batches, and finds the range of a partition key anew for each request,
which is a seventh of all that a request costs (azure-cosmos 4.17.1, observed). A token given by us spares it that.
"""

import re
from collections.abc import Mapping
from typing import Any

TOKEN = "x-ms-session-token"
MOST_RANGES = 50
"""Physical partitions whose tokens are sent together, as the SDK sends them with what is about no partition alone: some
3 KB of headers. Of more than that the SDK's own session has to do."""
_VECTOR = re.compile("([^:]+):(-?[0-9]+)#([0-9]+)")


class Session:
    """The newest token of each physical partition, of which answers tell: range, version, and the number of a commit.

    https://learn.microsoft.com/azure/cosmos-db/consistency-levels#session-consistency
    """

    def __init__(self) -> None:
        self._newest: dict[str, str] = {}
        self._ages: dict[str, tuple[int, int]] = {}
        self._last = ""
        self.options: dict[str, Any] = {}
        """What a request is given so that it is of this session."""

    def note(self, headers: Mapping[str, Any]) -> None:
        """Take note of what an answer tells, if it tells anything."""
        token = headers.get(TOKEN, "")
        if token == self._last:
            return
        self._last = token
        for part in token.split(","):
            if found := _VECTOR.match(part):
                range_id, age = found[1], (int(found[2]), int(found[3]))
                if range_id not in self._ages or self._ages[range_id] < age:
                    self._ages[range_id], self._newest[range_id] = age, part
                    few = len(self._newest) <= MOST_RANGES
                    self.options = {"session_token": ",".join(self._newest.values())} if few else {}

    def forget(self) -> None:
        """Begin anew, as the SDK does: no replica is as far, nor ever will be where the container was made anew."""
        self._newest.clear()
        self._ages.clear()
        self._last = ""
        self.options = {}
