"""What can go wrong, and the one map from it to a status."""

from collections.abc import Mapping


class ReelayError(Exception):
    """Something that the client is told about. Its text is one sentence for people."""

    status = 500
    headers: Mapping[str, str] = {}
    """What the response has to say besides."""


class HTTPError(ReelayError):
    """The request is understood, and its answer is an error: a plan says which."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str]) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers


class NotFoundError(ReelayError):
    """There is nothing of that name, or nothing that may be shown."""

    status = 404


class InvalidRequestError(ReelayError):
    """The request says something that cannot be."""

    status = 400


class StorageError(ReelayError):
    """The storage did not answer as it should; asking again later may help."""

    status = 503


class BadGatewayError(StorageError):
    """An object store refused, failed, broke off, or gave other bytes than were asked for."""

    status = 502


class GatewayTimeoutError(StorageError):
    """An object store took too long."""

    status = 504


class IncompleteResponseError(Exception):
    """A response that has begun cannot be finished: the connection is to be closed.

    `outcome` is one of a few words, for metrics and logs.
    """

    outcome = "failed"


class ClientDisconnectedError(IncompleteResponseError):
    """The client has gone."""

    outcome = "aborted"


class ChangedError(IncompleteResponseError):
    """The bytes changed, or became fewer, under a response: it must not go on with others."""

    outcome = "changed"


class StalledError(IncompleteResponseError):
    """The client took nothing for too long."""

    outcome = "stalled"
