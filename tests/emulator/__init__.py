"""A wire-level Azure Cosmos DB for NoSQL, for tests: the unmodified SDK is its client, all state is in memory."""

from .server import Emulator, emulator

__all__ = ["Emulator", "emulator"]
