"""Ids that clients give, and the resource ids and etags that the service makes."""

import base64
import uuid
from typing import Any

from .errors import bad_request


def new_etag() -> str:
    return f'"{uuid.uuid4()}"'


def rid_of(*numbers: int) -> str:
    """A resource id: four bytes of each number, in the service's base64."""
    return base64.b64encode(b"".join(n.to_bytes(4, "big") for n in numbers), b"+-").decode()


def check_id(id: Any, limit: int = 1024) -> str:
    """`id` if the service takes it as one (of less than `limit` bytes); 400 otherwise."""
    if id is None:
        raise bad_request("The input content is invalid because the required properties - 'id; ' - are missing")
    bad = not isinstance(id, str) or not id or len(id.encode()) >= limit or id[-1] == " "
    if bad or any(char in "/\\?#\t\r\n" for char in id):
        raise bad_request(f"Ensure to provide a unique non-empty string less than '{limit}' characters.")
    return str(id)


def check_name(id: Any) -> str:
    """The same for the name of a database or container."""
    return check_id(id, 255)
