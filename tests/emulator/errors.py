"""The errors that the service answers with: a status, a substatus and a body of code and message."""

from collections.abc import Mapping

CODES = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    408: "RequestTimeout",
    409: "Conflict",
    410: "Gone",
    412: "PreconditionFailed",
    413: "RequestEntityTooLarge",
    424: "FailedDependency",
    429: "TooManyRequests",
    449: "RetryWith",
    500: "InternalServerError",
    503: "ServiceUnavailable",
}


class ServiceError(Exception):
    """An answer other than success. `headers` are sent with it."""

    def __init__(
        self,
        status: int,
        message: str,
        substatus: int = 0,
        headers: Mapping[str, str] | None = None,
        charge: float = 1.0,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.substatus = substatus
        self.headers = dict(headers or {})
        self.charge = charge

    @property
    def code(self) -> str:
        return CODES.get(self.status, "Error")


def bad_request(message: str, substatus: int = 0) -> ServiceError:
    return ServiceError(400, message, substatus)


def cross_partition_disabled() -> ServiceError:
    return bad_request(
        "Cross partition query is required but disabled. Please set x-ms-documentdb-query-enablecrosspartition to "
        "true, specify x-ms-documentdb-partitionkey, or revise your query to avoid this exception."
    )


def item_not_found() -> ServiceError:
    return ServiceError(
        404, "Entity with the specified id does not exist in the system. ResourceType: Document, OperationType: Read"
    )


def owner_not_found() -> ServiceError:
    return ServiceError(404, "Owner resource does not exist", 1003)


def resource_not_found(kind: str) -> ServiceError:
    return ServiceError(
        404, f"Resource Not Found. ResourceType: {kind}. Learn more: https://aka.ms/cosmosdb-tsg-not-found"
    )


def already_exists() -> ServiceError:
    return ServiceError(409, "Entity with the specified id already exists in the system.")


def precondition_failed() -> ServiceError:
    return ServiceError(412, "One of the specified pre-condition is not met")


def range_gone() -> ServiceError:
    return ServiceError(
        410, "The requested resource is no longer available at the server (PartitionKeyRangeGone).", 1002
    )


def too_large() -> ServiceError:
    return ServiceError(413, "Request size is too large")


def session_not_available() -> ServiceError:
    return ServiceError(404, "The read session is not available for the input session token.", 1002)
