"""The engine of the store port on Azure Cosmos DB."""

from store.cosmos.engine import CosmosStore, connect, credential, open_cosmos
from store.cosmos.provision import provision

__all__ = ["CosmosStore", "connect", "credential", "open_cosmos", "provision"]
