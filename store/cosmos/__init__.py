"""The engine of the store port on Azure Cosmos DB."""

from store.cosmos.client import connect
from store.cosmos.engine import CosmosStore, open_cosmos
from store.cosmos.provision import Throughput, provision

__all__ = ["CosmosStore", "Throughput", "connect", "open_cosmos", "provision"]
