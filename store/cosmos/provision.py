"""Databases and containers made, or compared with what they should be. Nothing that holds data is ever dropped."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from azure.cosmos import PartitionKey, ThroughputProperties
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosResourceExistsError, CosmosResourceNotFoundError

from store.cosmos.errors import reading
from store.errors import StoreUnusable
from store.port import ContainerSpec, Index, ProvisionStep

JSON = dict[str, Any]

MAKES = "`gateway provision` makes it"
MENDS = "`gateway provision` mends it"


def indexing_policy(spec: ContainerSpec) -> JSON:
    """Index exactly what queries use: each further term costs about 0.2 RU for each write."""
    paths = dict.fromkeys(path for index in spec.indexes for path in _compared(index)) | dict.fromkeys(spec.filters)
    composites = dict.fromkeys(composite for index in spec.indexes for composite in _composites(index))
    return {
        "indexingMode": "consistent",
        "automatic": True,
        "includedPaths": [{"path": _wildcard(path)} for path in paths],
        "excludedPaths": [{"path": "/*"}],
        "compositeIndexes": [
            [{"path": "/" + path.replace(".", "/"), "order": order} for path, order in composite]
            for composite in composites
        ],
    }


Composite = tuple[tuple[str, str], ...]
"""Paths with their directions; an index serves the opposite of all its directions as well."""


def _compared(index: Index) -> tuple[str, ...]:
    return (*index.paths, *index.equal, *(index.where[:1] if index.where else ()))


def _composites(index: Index) -> Iterator[Composite]:
    """Every direction that a query can order in; the id goes the way of the last path."""
    *first, last = index.paths
    for order in ("ascending", "descending") if first else ("ascending",):
        yield (*((path, "ascending") for path in first), (last, order), ("id", order))


def _wildcard(path: str) -> str:
    return "/" + path.replace(".", "/").replace("[]", "/[]") + "/?"


@dataclass(frozen=True, slots=True)
class Throughput:
    """What containers may use: autoscale up to `maximum` RU/s, of the database for all (`shared`) or for each."""

    maximum: int
    shared: bool


async def inspect(client: CosmosClient, database: str, containers: Iterable[ContainerSpec]) -> list[str]:
    """What is missing or not as it should be, a sentence each; nothing where all is well."""
    proxy = client.get_database_client(database)
    if await _properties(proxy) is None:
        return [f"database {database!r} does not exist; {MAKES}"]
    problems: list[str] = []
    for spec in containers:
        found = await _properties(proxy.get_container_client(spec.name))
        if found is None:
            problems.append(f"container {spec.name!r} does not exist; {MAKES}")
            continue
        problems += _problems(spec, found)
    return problems


def _problems(spec: ContainerSpec, found: JSON) -> list[str]:
    try:
        return [f"container {spec.name!r}: {fault}; {MENDS}" for fault in differences(spec, found)]
    except StoreUnusable as error:
        return [str(error)]


async def provision(
    client: CosmosClient,
    database: str,
    containers: Iterable[ContainerSpec],
    *,
    throughput: Throughput | None = None,
    dry_run: bool = False,
) -> list[ProvisionStep]:
    """Make what is missing, bring indexes, TTL and throughput up to date, and say what was done, or would be.

    `throughput` None leaves throughput alone, as serverless accounts demand. Raises StoreUnusable for what cannot be
    changed without losing data, such as a partition key; what comes before it has been done by then.
    """
    proxy = client.get_database_client(database)
    shared = throughput if throughput and throughput.shared else None
    own = throughput if throughput and not throughput.shared else None
    known = await _properties(proxy) is not None
    if known:
        steps = [await _bring_up_to_date(proxy, f"database {database!r}", [], shared, dry_run=dry_run)]
    else:
        steps = [ProvisionStep(f"database {database!r} is made{_with(shared)}", changes=True)]
        if not dry_run:
            async with reading(f"database {database!r}"):
                await client.create_database(database, offer_throughput=_offer(shared))
    for spec in containers:
        place = proxy.get_container_client(spec.name)
        found = await _properties(place) if known or not dry_run else None
        if found is None:
            made = f"container {spec.name!r} is made, partitioned by /{spec.partition_key}{_with(own)}"
            steps.append(ProvisionStep(made, changes=True))
            if not dry_run:
                async with reading(f"container {spec.name!r}"):
                    await proxy.create_container(spec.name, offer_throughput=_offer(own), **_definition(spec))
            continue
        problems = differences(spec, found)
        if problems and not dry_run:
            async with reading(f"container {spec.name!r}"):
                await proxy.replace_container(spec.name, **_definition(spec))
        steps.append(await _bring_up_to_date(place, f"container {spec.name!r}", problems, own, dry_run=dry_run))
    return steps


async def ensure(database: DatabaseProxy, spec: ContainerSpec) -> None:
    """Make the container if it is missing. Raises StoreUnusable for one that is not as it should be."""
    found = await _properties(database.get_container_client(spec.name))
    if found is not None:
        if problems := _problems(spec, found):
            raise StoreUnusable("\n".join(problems))
    else:
        async with reading(f"container {spec.name!r}"):
            with suppress(CosmosResourceExistsError):  # another process was quicker
                await database.create_container(spec.name, **_definition(spec))


async def remove(database: DatabaseProxy, name: str) -> None:
    """Delete the container if it is there."""
    async with reading(f"container {name!r}"):
        with suppress(CosmosResourceNotFoundError):
            await database.delete_container(name)


async def _bring_up_to_date(
    place: DatabaseProxy | ContainerProxy, name: str, problems: list[str], wanted: Throughput | None, *, dry_run: bool
) -> ProvisionStep:
    """Set the throughput of what exists, and say so beside the `problems` that are mended."""
    if wanted:
        async with reading(name):
            try:
                there = await place.get_throughput()
            except (CosmosResourceNotFoundError, AttributeError) as error:  # the SDK's slip, for databases
                raise StoreUnusable(f"{name} has no throughput of its own, and cannot be given it any more") from error
            maximum = there.auto_scale_max_throughput
            if maximum is None:
                raise StoreUnusable(f"{name} has manual throughput; change it to autoscale in the portal first")
            if maximum != wanted.maximum:
                problems = [*problems, f"its autoscale maximum is {maximum} RU/s, not {wanted.maximum}"]
                if not dry_run:
                    await place.replace_throughput(_offer(wanted))
    if problems:
        return ProvisionStep(f"{name} is updated: {'; '.join(problems)}", changes=True)
    return ProvisionStep(f"{name} is as it should be", changes=False)


async def _properties(place: DatabaseProxy | ContainerProxy) -> JSON | None:
    """What the service says about a database or a container; None where there is none."""
    async with reading("the account"):
        try:
            return dict(await place.read())
        except CosmosResourceNotFoundError:
            return None


def _definition(spec: ContainerSpec) -> JSON:
    key = PartitionKey(path=f"/{spec.partition_key}")
    return {"partition_key": key, "indexing_policy": indexing_policy(spec), "default_ttl": -1}


def _offer(throughput: Throughput | None) -> Any:
    return ThroughputProperties(auto_scale_max_throughput=throughput.maximum) if throughput else None


def _with(throughput: Throughput | None) -> str:
    return f", autoscale to {throughput.maximum} RU/s" if throughput else ""


def differences(spec: ContainerSpec, found: JSON) -> list[str]:
    """What is not as it should be with an existing container, in sentences.

    Raises StoreUnusable for another partition key.
    """
    problems = []
    paths = found["partitionKey"]["paths"]
    if paths != [f"/{spec.partition_key}"]:
        raise StoreUnusable(
            f"container {spec.name!r}: its partition key is {', '.join(paths)}, not /{spec.partition_key}; it cannot "
            "be changed without losing its data"
        )
    wanted, actual = indexing_policy(spec), found.get("indexingPolicy", {})
    there = [_plain(composite) for composite in actual.get("compositeIndexes", [])]
    missing = [composite for composite in map(_plain, wanted["compositeIndexes"]) if composite not in there]
    problems += [f"the composite index on {', '.join(path for path, _ in it)} is missing" for it in missing]
    indexed = {entry["path"] for entry in actual.get("includedPaths", [])}
    paths = [entry["path"] for entry in wanted["includedPaths"] if not {entry["path"], "/*"} & indexed]
    problems += [f"the index on {path} is missing" for path in paths]
    if found.get("defaultTtl") != -1:
        problems.append("TTL is off")
    return problems


def _plain(composite: list[JSON]) -> list[tuple[str, str]]:
    return [(entry["path"], entry.get("order", "ascending")) for entry in composite]
