"""A container against a dictionary: the same random commits, the same answers, the same contents."""

from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store import Conflict, Container, Create, Delete, Etag, Partition, Query, Replace, Upsert, Write
from tests.store.notes import content, follow, note


@dataclass
class Model:
    """What a container should hold: bodies, etags, and the number of the commit that wrote each."""

    bodies: dict[tuple[str, str], object] = field(default_factory=dict)
    etags: dict[tuple[str, str], Etag] = field(default_factory=dict)
    numbers: dict[tuple[str, str], int] = field(default_factory=dict)

    def refuses(self, partition: str, writes: list[Write]) -> tuple[int, str] | None:
        for index, write in enumerate(writes):
            etag = self.etags.get((partition, write.id))
            match write:
                case Create() if etag:
                    return index, "exists"
                case Replace() | Delete() | Upsert(etag=str() | int()) if not etag:
                    return index, "missing"
                case Replace() | Delete() | Upsert(etag=str() | int()) if write.etag != etag:
                    return index, "changed"
        return None

    def apply(self, number: int, partition: str, writes: list[Write], etags: list[Etag | None]) -> None:
        for write, etag in zip(writes, etags, strict=True):
            key = (partition, write.id)
            if isinstance(write, Delete) or etag is None:
                del self.bodies[key], self.etags[key], self.numbers[key]
            else:
                self.bodies[key], self.etags[key], self.numbers[key] = write.body, etag, number


Step = tuple[int, dict[str, tuple[str, bool]], bool]
steps = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.dictionaries(
            st.sampled_from("abcd"),
            st.tuples(st.sampled_from(["create", "replace", "guarded", "upsert", "delete"]), st.booleans()),
            min_size=1,
        ),
        st.booleans(),
    ),
    max_size=12,
)
examples = count()


def planned(model: Model, partition: str, number: int, choices: dict[str, tuple[str, bool]]) -> list[Write]:
    writes: list[Write] = []
    for id, (kind, fitting) in choices.items():
        body = note(partition, id, number=number)
        present = (partition, id) in model.etags
        etag = model.etags.get((partition, id), "0") if fitting else "0"
        # Mostly steps that can succeed, else nearly every commit would be refused.
        kind = "upsert" if fitting and present == (kind == "create") else kind
        match kind:
            case "create":
                writes.append(Create(id, body))
            case "replace":
                writes.append(Replace(id, body, etag))
            case "guarded":
                writes.append(Upsert(id, body, etag))
            case "upsert":
                writes.append(Upsert(id, body))
            case _:
                writes.append(Delete(id, etag))
    return writes


@given(plan=steps)
@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_container_behaves_as_a_dictionary_of_latest_versions(notes: Container, plan: list[Step]) -> None:
    example = next(examples)  # partitions of its own, for the container is shared by the examples
    partitions = [f"ada{example}", f"bob{example}"]
    model, seen = Model(), dict[tuple[str, str], Etag]()
    cursors = {scope: (await follow(notes, scope))[1] for scope in await notes.feed_ranges()}
    for number, (who, choices, look) in enumerate([*plan, (0, {}, True)]):
        if choices:
            writes = planned(model, partitions[who], number, choices)
            refusal = model.refuses(partitions[who], writes)
            if refusal is None:
                model.apply(number, partitions[who], writes, await notes.commit(partitions[who], writes))
            else:
                with pytest.raises(Conflict) as error:
                    await notes.commit(partitions[who], writes)
                assert (error.value.index, error.value.reason) == refusal
        for scope in cursors if look else ():
            documents, cursors[scope] = await follow(notes, scope, cursors[scope], limit=2)
            seen |= {(document.partition, document.id): document.etag for document in documents}
    assert {key: etag for key, etag in seen.items() if key in model.etags} == model.etags
    for partition in partitions:
        mine = {id: body for (owner, id), body in model.bodies.items() if owner == partition}
        page = await notes.query(Query(partition))
        assert {document.id: content(document) for document in page.documents} == mine
        feed, _ = await follow(notes, Partition(partition), limit=2)
        assert {document.id: content(document) for document in feed} == mine
        order = [model.numbers[partition, document.id] for document in feed]
        assert order == sorted(order)
