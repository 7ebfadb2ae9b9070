"""`extensions.freshness`: how far what an answer was read from is behind, in every answer to a query."""

from collections.abc import Iterator
from typing import Any

from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from read_model.asked import ASKED, Asked


class FreshnessExtension(SchemaExtension):
    """Notes what an operation reads, and tells how fresh that is."""

    def on_operation(self) -> Iterator[None]:
        """From here on, what is read is noted."""
        self._asked = Asked()
        token = ASKED.set(self._asked)
        try:
            yield
        finally:
            if ASKED.get() is self._asked:  # not in what another task closes
                ASKED.reset(token)

    def get_results(self) -> dict[str, Any]:
        """The extension, if anything was read; not with the frames of a subscription, which come as it changes."""
        context = self.execution_context
        if not self._asked.containers or context.operation_type is OperationType.SUBSCRIPTION:
            return {}
        projections = context.context.freshness(self._asked.containers)
        return {"freshness": {"satisfied": self._asked.satisfied, "projections": projections}}
