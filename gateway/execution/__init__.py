"""The execution of operations: compiled where a selection is plain data, by the reference executor where it is not.

`Executor` is what transports use. A document is parsed and validated once (`documents`); each of its operations is
compiled (`compiler`, `selections`, `arguments`, `shapes`) to a plan (`plans`), which only ever produces success; all
else is answered by the reference executor (`reference`). docs/performance.md says what that is worth.
"""

from gateway.execution.executor import Executor
from gateway.execution.operation import NotExecutable, Operation, Result

__all__ = ["Executor", "NotExecutable", "Operation", "Result"]
