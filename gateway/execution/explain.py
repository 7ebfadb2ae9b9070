"""How the operations of a document are executed, in words."""

from collections.abc import Iterator
from itertools import product

from gateway.execution.documents import Documents, Prepared
from gateway.execution.plans import Plan, Resolved
from gateway.execution.selections import NotCompiled
from gateway.execution.shapes import Shape
from schema.build import build_schema

Line = tuple[str, bool]
"""What is told, and whether it is as it should be."""


def explained(text: str) -> Iterator[Line]:
    """Each operation with its plan, or why it has none; or what is wrong with the document. Raises NotExecutable."""
    document = Documents(build_schema()).get(text)
    for error in document.errors:
        place = f" (line {error.locations[0].line})" if error.locations else ""
        yield f"{error.message}{place}", False
    for prepared in document.operations if not document.errors else ():
        yield from _operation(prepared)


def _operation(prepared: Prepared) -> Iterator[Line]:
    title = f"{prepared.kind.value} {prepared.name or '(without a name)'}"
    switches = prepared.switches
    if isinstance(switches, NotCompiled):
        yield f"{title}: by the reference executor, for {switches}", False
        return
    for values in product((True, False), repeat=len(switches)):
        set_to = dict(zip(switches, values, strict=True))
        told = title + "".join(f", ${name} {str(value).lower()}" for name, value in set_to.items())
        plan = prepared.plan(set_to)
        if isinstance(plan, NotCompiled):
            yield f"{told}: by the reference executor, for {plan}", False
            continue
        yield f"{told}: by a plan", True
        yield from ((f"  {line}", True) for line in _plan(plan))


def _plan(plan: Plan) -> Iterator[str]:
    for key, root in plan.roots.items():
        if isinstance(root, str):
            yield f"{key}: the name of the type"
        else:
            yield from _resolved(key, root)


def _resolved(key: str, field: Resolved) -> Iterator[str]:
    how = "; of a read document only what is selected is decoded" if field.views else ""
    yield f"{key}: {field.name}{how}"
    for shape in field.shapes:
        yield from (f"  {line}" for line in _late(shape))


def _late(shape: Shape) -> Iterator[str]:
    for resolved in shape.late.values():
        yield from _resolved("then of each", resolved)
    for inner in shape.inner.values():
        yield from _late(inner)
