"""The exceptions, with the HTTP status of each."""

from collections.abc import Mapping


class ReelayError(Exception):
    """An error that is reported to the client. Its text is one sentence for people."""

    status = 500
    headers: Mapping[str, str] = {}
    """Further headers of the response."""


class HTTPError(ReelayError):
    """An error response with any status, as `protocol.plan` decides."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str]) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers


class RefusedError(HTTPError):
    """A request without permission, or with a link that opens nothing."""


class NotFoundError(ReelayError):
    """The resource does not exist or may not be shown."""

    status = 404


class InvalidRequestError(ReelayError):
    """The request is invalid."""

    status = 400


class StorageError(ReelayError):
    """The storage failed; a later request may succeed."""

    status = 503


class BadGatewayError(StorageError):
    """An object store refused, failed, closed the connection or sent the wrong bytes."""

    status = 502


class GatewayTimeoutError(StorageError):
    """An object store took too long."""

    status = 504


class IncompleteResponseError(Exception):
    """A response that has begun cannot be completed; its connection is closed.

    `outcome` is its label in metrics and logs.
    """

    outcome = "failed"


class ClientDisconnectedError(IncompleteResponseError):
    """The client closed the connection."""

    outcome = "aborted"


class ChangedError(IncompleteResponseError):
    """The file changed or was truncated while it was sent."""

    outcome = "changed"


class StalledError(IncompleteResponseError):
    """The client read nothing for too long."""

    outcome = "stalled"
