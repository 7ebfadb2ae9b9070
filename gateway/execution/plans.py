"""Plans: an operation whose selection is plain data, compiled to what answers it.

A plan calls the resolvers that the reference executor would call, with arguments that were converted once, and selects
from what they return by generated structs. It only ever succeeds: at anything unusual it bails, and the reference
executor answers, with what was resolved already.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import msgspec

from gateway.execution.arguments import Arguments, Refused, Variables
from gateway.execution.shapes import Shape
from gateway.json import encode
from read_model.watches import Hand, Share

T = TypeVar("T")


SendNow = Callable[[Hashable, Callable[[Any], bytes | None]], Hand]
"""How a subscriber is sent events of that name at once: by a function that encodes one, for all who are to have it."""


class Bail(Exception):
    """The reference executor has to answer. `resolved` has, by key, what root fields returned or raised already."""

    def __init__(self, why: object, resolved: Mapping[str, Any] | None = None) -> None:
        super().__init__(str(why))
        self.resolved = resolved or {}


class Asking(msgspec.Struct):
    """What a resolver is given in place of the reference executor's information: its context, and views to read."""

    context: Any
    views: Mapping[type, type]
    share: Share | None = None

    def view(self, whole: type[T]) -> type[T]:
        """The part of a read document that is selected; all of it where it cannot be decoded in part."""
        return self.views.get(whole, whole)


@dataclass(frozen=True)
class Resolved:
    """A field that is resolved, and what is selected of its value.

    `target` is what a value is converted to, `targets` by its class where values are not all alike: of an interface or
    a union.
    """

    name: str
    resolver: Callable[..., Any]
    arguments: Arguments
    nullable: bool
    target: Any
    targets: Mapping[type, type]
    shapes: tuple[Shape, ...]
    views: Mapping[type, type]

    @cached_property
    def is_late(self) -> bool:
        """Whether there is anything left to resolve in its value."""
        return any(shape.is_late for shape in self.shapes)

    def call(self, source: Any, variables: Any, context: Any, share: Share | None = None) -> Any:
        """The awaitable, or the asynchronous generator, that the resolver returns. Raises Refused."""
        return self.resolver(source, Asking(context, self.views, share), **self.arguments.read(variables))

    def converted(self, value: Any) -> Any:
        """What is selected of the value. Raises msgspec.ValidationError, or Refused."""
        if value is None and self.nullable:
            return None
        if type(value) is self.target:  # it was decoded to what is selected
            return value
        target = self.targets.get(type(value), self.target)
        if target is None:
            raise Refused(f"a {type(value).__name__}")
        return msgspec.convert(value, target, from_attributes=True)

    async def complete(self, value: Any, variables: Any, context: Any) -> Any:
        """What is selected of the value, with all that is to be resolved in it. Raises as resolvers do."""
        selected = self.converted(value)
        for shape in self.shapes:
            if shape.is_late:
                await _resolve_late(shape, value, selected, variables, context)
        return selected


async def _resolve_late(shape: Shape, source: Any, selected: Any, variables: Any, context: Any) -> None:
    """Set the attributes of a selection that are resolved, however deep they are."""
    if isinstance(selected, list):
        pairs = zip(source, selected, strict=True)
        await asyncio.gather(*(_resolve_late(shape, one, part, variables, context) for one, part in pairs))
    elif isinstance(selected, shape.struct):

        async def resolve(attribute: str, field: Resolved) -> None:
            value = await field.call(source, variables, context)
            setattr(selected, attribute, await field.complete(value, variables, context))

        inner = (
            _resolve_late(within, getattr(source, name), getattr(selected, name), variables, context)
            for name, within in shape.inner.items()
        )
        await asyncio.gather(*(resolve(*late) for late in shape.late.items()), *inner)


@dataclass(frozen=True, eq=False)
class Plan:
    """An operation, compiled; `roots` by their keys in the answer, text where that is the name of the type.

    `structs` is how many were generated for it, which is what it takes memory for.
    """

    variables: Variables
    roots: Mapping[str, Resolved | str]
    structs: int

    async def execute(self, given: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """The data of a query or a mutation. Raises Bail."""
        try:
            variables = self.variables.read(given)
        except Refused as refused:
            raise Bail(refused) from refused
        resolved: dict[str, Any] = {}
        if len(self.roots) == 1:
            ((key, root),) = self.roots.items()
            return {key: await _answered(key, root, variables, context, resolved)}
        answers = (_answered(key, root, variables, context, resolved) for key, root in self.roots.items())
        answered = await asyncio.gather(*answers, return_exceptions=True)
        for one in answered:
            if isinstance(one, BaseException):
                raise one
        return dict(zip(self.roots, answered, strict=True))

    async def stream(
        self, given: Mapping[str, Any], context: Any, send: SendNow | None = None
    ) -> AsyncGenerator[tuple[Any, dict[str, Any] | None]]:
        """The events of a subscription, each with its data; None for one that the reference executor must complete.

        What several subscribers are to have alike is encoded once, and sent by `send` if it can be. Raises Bail before
        there is any event, and what the source raises.
        """
        ((key, root),) = self.roots.items()
        assert isinstance(root, Resolved)

        share = (lambda what: send((self, what), self._encoded)) if send and not root.is_late else None
        try:
            variables = self.variables.read(given)
            events = root.call(None, variables, context, share)
        except Refused as refused:
            raise Bail(refused) from refused
        async with aclosing(events):
            async for event in events:
                try:
                    data = {key: await root.complete(event, variables, context)}
                except Exception:  # noqa: BLE001  # whatever it is, the reference executor tells it
                    data = None
                yield event, data
                del event, data  # who waits keeps nothing of what it was sent

    def _encoded(self, event: Any) -> bytes | None:
        """The result of an event in JSON; None if the reference executor must complete it."""
        ((key, root),) = self.roots.items()
        assert isinstance(root, Resolved)
        try:
            return encode({"data": {key: root.converted(event)}})
        except (msgspec.ValidationError, Refused):
            return None


async def _answered(key: str, root: Resolved | str, variables: Any, context: Any, resolved: dict[str, Any]) -> Any:
    """What is selected of a root field; also notes in `resolved` what it returned or raised. Raises Bail."""
    if isinstance(root, str):
        return root
    try:
        value = await root.call(None, variables, context)
    except (Refused, msgspec.DecodeError) as error:
        raise Bail(error, resolved) from error
    except Exception as error:
        resolved[key] = error
        raise Bail(error, resolved) from error
    if not root.views:  # what was decoded in part is of no use to the reference executor
        resolved[key] = value
    try:
        return await root.complete(value, variables, context) if root.is_late else root.converted(value)
    except Exception as error:
        raise Bail(error, resolved) from error
