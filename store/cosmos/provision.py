"""Databases and containers made, or compared with what they should be. Nothing that holds data is ever dropped."""

from collections.abc import Iterable, Iterator
from typing import Any

from azure.cosmos import PartitionKey, ThroughputProperties
from azure.cosmos.aio import CosmosClient, DatabaseProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from store.cosmos.errors import reading
from store.errors import StoreUnusable
from store.port import ContainerSpec, Index, ProvisionStep

JSON = dict[str, Any]


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


async def provision(
    client: CosmosClient,
    database: str,
    containers: Iterable[ContainerSpec],
    *,
    autoscale_max: int | None = None,
    dry_run: bool = False,
) -> list[ProvisionStep]:
    """Make what is missing, bring indexes and TTL up to date, and say what was done, or would be.

    `autoscale_max` is the database's shared autoscale maximum in RU/s; None is for serverless accounts. Raises
    StoreUnusable for a container with another partition key, which cannot be changed without losing its data.
    """
    steps: list[ProvisionStep] = []
    async with reading(f"database {database!r}"):
        proxy = client.get_database_client(database)
        try:
            await proxy.read()
            steps.append(ProvisionStep(f"database {database!r} exists", changes=False))
        except CosmosResourceNotFoundError:
            steps.append(ProvisionStep(f"database {database!r} is made", changes=True))
            if not dry_run:
                offer = ThroughputProperties(auto_scale_max_throughput=autoscale_max) if autoscale_max else None
                await client.create_database(database, offer_throughput=offer)
        for spec in containers:
            missing_database = dry_run and steps[0].changes
            steps.append(await _provision_container(proxy, spec, dry_run=dry_run, known=not missing_database))
    return steps


async def _provision_container(
    proxy: DatabaseProxy, spec: ContainerSpec, *, dry_run: bool, known: bool
) -> ProvisionStep:
    wanted = indexing_policy(spec)
    key = PartitionKey(path=f"/{spec.partition_key}")
    try:
        if not known:
            raise CosmosResourceNotFoundError
        found = await proxy.get_container_client(spec.name).read()
    except CosmosResourceNotFoundError:
        if not dry_run:
            await proxy.create_container(spec.name, key, indexing_policy=wanted, default_ttl=-1)
        return ProvisionStep(f"container {spec.name!r} is made, partitioned by /{spec.partition_key}", changes=True)
    problems = differences(spec, found)
    if any("partition key" in problem for problem in problems):
        raise StoreUnusable(f"container {spec.name!r}: {problems[0]}; it cannot be changed without losing its data")
    if not problems:
        return ProvisionStep(f"container {spec.name!r} is as it should be", changes=False)
    if not dry_run:
        await proxy.replace_container(spec.name, key, indexing_policy=wanted, default_ttl=-1)
    return ProvisionStep(f"container {spec.name!r} is updated: {'; '.join(problems)}", changes=True)


def differences(spec: ContainerSpec, found: JSON) -> list[str]:
    """What is not as it should be with an existing container, in sentences; a wrong partition key comes first."""
    problems = []
    paths = found["partitionKey"]["paths"]
    if paths != [f"/{spec.partition_key}"]:
        problems.append(f"its partition key is {', '.join(paths)}, not /{spec.partition_key}")
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
