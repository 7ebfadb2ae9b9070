"""Who may ask for what: declared at each field that has a resolver, and held where that is called.

A plan calls the same function as the reference executor, so there is no way around a declaration; `build_schema`
refuses a field without one. Fields without a resolver are parts of an object, and whoever was given the object may see
them all. Who asks decides between an answer and a refusal, and never about what is in an answer: so what is made of a
change for one subscriber may be sent to every other who was let in with the same question (`read_model/watches.py`).
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from inspect import isasyncgenfunction
from typing import Any, TypeVar

from graphql import GraphQLNamedType, is_object_type
from strawberry import Schema

from read_model.questions import Unanswered
from schema.context import Info, Viewing

F = TypeVar("F", bound=Callable[..., Any])
Arguments = Mapping[str, Any]
Owner = Callable[[Any, Arguments], str | None]
"""Whose a thing is that is asked for, by the object that the field belongs to and the arguments.

None where it is no customer's. Raises Unanswered for what cannot be.
"""
Otherwise = Callable[[Callable[..., Any], Arguments], Any]
"""What a customer is given instead of what is not hers; it may call the resolver, with other arguments."""


class Denied(Unanswered):
    """Who asks may not: UNAUTHENTICATED for nobody, else FORBIDDEN."""


class Undeclared(Exception):
    """A field of the schema does not say who may ask for it."""


@dataclass(frozen=True)
class Access:
    """Who may: staff, services with `scope`, and the customer that `owner` names.

    Whatever else is asked for by a customer is FORBIDDEN, or looks as `otherwise` has it.
    """

    scope: str
    owner: Owner | None = None
    otherwise: Otherwise | None = None

    def answer(self, resolve: Callable[..., Any], source: Any, info: Info[Viewing, Any], arguments: Arguments) -> Any:
        """What the resolver returns, if it may be asked. Raises Denied."""
        context = info.context
        viewer = context.viewer
        if viewer.may(self.scope) or (
            self.owner and viewer.customer is not None and self.owner(source, arguments) == viewer.customer
        ):
            return resolve(source, info, **arguments)
        name = resolve.__name__
        if viewer.kind == "anonymous":
            context.denied(name, viewer, "UNAUTHENTICATED")
            raise Denied("UNAUTHENTICATED", "Nobody may ask for this without saying who they are.")
        context.denied(name, viewer, "FORBIDDEN")
        if self.otherwise and viewer.customer is not None:
            return self.otherwise(partial(resolve, source, info), arguments)
        raise Denied("FORBIDDEN", "You may not ask for this.")


def allow(scope: str, owner: Owner | None = None, otherwise: Otherwise | None = None) -> Callable[[F], F]:
    """Declares who may ask for a field; see Access."""
    access = Access(scope, owner, otherwise)

    def declare(resolve: F) -> F:
        def frames(self: Any, info: Info[Viewing, Any], **arguments: Any) -> AsyncGenerator[Any, None]:
            try:
                stream: AsyncGenerator[Any, None] = access.answer(resolve, self, info, arguments)
            except Unanswered as refused:
                return _failing(refused)
            return stream

        def value(self: Any, info: Info[Viewing, Any], **arguments: Any) -> Any:
            return access.answer(resolve, self, info, arguments)

        return _declared(wraps(resolve)(frames if isasyncgenfunction(resolve) else value), access)  # type: ignore[return-value]

    return declare


def access_of(schema: Schema) -> dict[str, Access]:
    """Of each field with a resolver, as in `Query.order`, who may ask for it. Raises Undeclared."""
    declared: dict[str, Access] = {}
    roots = (schema._schema.query_type, schema._schema.mutation_type, schema._schema.subscription_type)
    for type_ in schema._schema.type_map.values():
        for name, resolve in _resolvers(type_):
            if resolve or type_ in roots:
                access = getattr(resolve, "access", None)
                if not isinstance(access, Access):
                    raise Undeclared(f"{type_.name}.{name} does not say who may ask for it: see schema/access.py")
                declared[f"{type_.name}.{name}"] = access
    return declared


def _resolvers(type_: GraphQLNamedType) -> list[tuple[str, Callable[..., Any] | None]]:
    if not is_object_type(type_) or type_.name.startswith("__"):
        return []
    definitions = {name: field.extensions["strawberry-definition"] for name, field in type_.fields.items()}
    return [(name, one.base_resolver and one.base_resolver.wrapped_func) for name, one in definitions.items()]


def _declared(resolve: F, access: Access) -> F:
    resolve.access = access  # type: ignore[attr-defined]
    return resolve


async def _failing(refused: Unanswered) -> AsyncGenerator[Any, None]:
    for _ in ():
        yield
    raise refused
