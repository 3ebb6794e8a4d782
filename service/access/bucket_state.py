"""The state in an object store: each value is an object."""

from service.storage.object_store.sync_client import SyncObjectClient

# More than any value has.
_MAX_BYTES = 64 * 1024


class BucketState:
    """The state in an object store, which replicas share."""

    def __init__(self, client: SyncObjectClient) -> None:
        self._client = client

    def read(self, name: str) -> bytes | None:
        try:
            return self._client.get(name, 0, _MAX_BYTES).data
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        self._client.put(name, data)

    def create(self, name: str, data: bytes) -> bool:
        return self._client.create(name, data)

    def delete(self, name: str) -> None:
        self._client.delete([name])

    def names(self, folder: str) -> list[str]:
        prefix = f"{folder}/"
        return [info.key.removeprefix(prefix) for info in self._client.list(prefix)]
