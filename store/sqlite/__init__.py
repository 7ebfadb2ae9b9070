"""The embedded engine of the store port, on SQLite."""

from store.sqlite.engine import SQLiteStore, open_sqlite

__all__ = ["SQLiteStore", "open_sqlite"]
