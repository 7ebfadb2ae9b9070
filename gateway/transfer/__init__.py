"""Moves the documents of a container from one store to another, through a file: `gateway export` and `import`.

Knows no domain: of a document only its kind, and of a command the aggregate that it was given to.
"""

from gateway.transfer.file import Trailer, TransferFailed
from gateway.transfer.incoming import Imported, import_container
from gateway.transfer.outgoing import export_container

__all__ = ["Imported", "Trailer", "TransferFailed", "export_container", "import_container"]
