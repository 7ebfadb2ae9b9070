"""What goes back to the client: a status, a body and the headers that the SDK reads."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from .containers import Container
from .errors import ServiceError
from .partitions import Partition
from .values import dumps


@dataclass(slots=True)
class Reply:
    """An answer. `body` None is an empty one. `charge` is in request units."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    charge: float = 1.0

    def response(self, activity: str) -> web.Response:
        headers = {
            "x-ms-activity-id": activity or str(uuid.uuid4()),
            "x-ms-request-charge": f"{self.charge:g}",
            "x-ms-gatewayversion": "2.0.0",
            "x-ms-serviceversion": "version=2.14.0.0",
            **self.headers,
        }
        body = b"" if self.body is None else dumps(self.body)
        return web.Response(status=self.status, body=body, headers=headers, content_type="application/json")


def failure(error: ServiceError, activity: str) -> Reply:
    headers = {"x-ms-substatus": str(error.substatus)} if error.substatus else {}
    if error.status == 304:
        return Reply(304, None, {**headers, **error.headers}, error.charge)
    body = {
        "code": error.code,
        "message": f"{error.message}\r\nActivityId: {activity}, Microsoft.Azure.Documents.Common/2.14.0",
    }
    return Reply(error.status, body, {**headers, **error.headers}, error.charge)


def session_token(partition: Partition, lag: int = 0) -> str:
    return f"{partition.id}:0#{partition.lsn - lag}#1=-1"


def data_headers(container: Container, names: tuple[str, str], partition: Partition, lag: int = 0) -> dict[str, str]:
    """The headers of an answer about items of a container, served by a replica of one of its partitions."""
    return {
        "x-ms-alt-content-path": f"dbs/{names[0]}/colls/{names[1]}",
        "x-ms-content-path": container.rid,
        "x-ms-session-token": session_token(partition, lag),
        "x-ms-schemaversion": "1.18",
        "lsn": str(partition.lsn),
        "x-ms-global-committed-lsn": str(partition.lsn),
        "x-ms-documentdb-partitionkeyrangeid": partition.id,
    }


def listing(rid: str, name: str, values: list[Any]) -> dict[str, Any]:
    return {"_rid": rid, name: values, "_count": len(values)}


def resource(document: Mapping[str, Any], status: int = 200) -> Reply:
    """An answer that is a database, container or offer."""
    return Reply(status, dict(document), {"etag": str(document.get("_etag", '""'))})
