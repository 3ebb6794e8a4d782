"""Opens the stores that the settings name: each is a folder or an object store."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from service.access.state import FolderState, State
from service.artefact_store.folder import FolderArtefactStore
from service.artefact_store.store import ArtefactStore
from service.metrics import Metrics
from service.settings.environment import Settings
from service.settings.values import default_state
from service.storage.left_out import LibraryFilter
from service.storage.local.folder import LocalStorage
from service.storage.object_store.config import open_store

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from service.storage.object_store.storage import ObjectStorage


def open_media(
    settings: Settings,
    library_filter: LibraryFilter,
    metrics: Metrics,
    tracer: "Tracer | None" = None,
) -> "LocalStorage | ObjectStorage":
    """Return the storage of the media: a folder or an object store."""
    if isinstance(settings.media, Path):
        # A share link opens what is listed in its folder. A link to another folder is not listed,
        # and would make all of that folder part of the shared one.
        through_links = not settings.has_access_control
        return LocalStorage(settings.media, library_filter, through_links=through_links)
    from service.storage.object_store.storage import ObjectStorage  # noqa: PLC0415 # needs an extra

    return ObjectStorage(
        open_store(settings.media, os.environ, timeout=settings.store_timeout),
        block_size=settings.max_partial_size,
        max_bytes=settings.block_cache,
        timeout=settings.store_timeout,
        metrics=metrics,
        library_filter=library_filter,
        tracer=tracer,
    )


def open_artefact_store(settings: Settings) -> ArtefactStore:
    """Return the artefact store, in a folder or an object store."""
    if isinstance(settings.derived, Path):
        return FolderArtefactStore(settings.derived, settings.derived_size)
    from service.artefact_store.bucket import BucketArtefactStore  # noqa: PLC0415 # as above
    from service.storage.object_store.sync_client import SyncObjectClient  # noqa: PLC0415

    store = open_store(settings.derived, os.environ, timeout=settings.store_timeout)
    return BucketArtefactStore(SyncObjectClient(store), settings.derived_size)


def open_state(settings: Settings) -> State:
    """Return the state of access control, in a folder or an object store."""
    where = settings.state or default_state()
    if isinstance(where, Path):
        return FolderState(where)
    from service.access.bucket_state import BucketState  # noqa: PLC0415 # as above
    from service.storage.object_store.sync_client import SyncObjectClient  # noqa: PLC0415

    return BucketState(
        SyncObjectClient(open_store(where, os.environ, timeout=settings.store_timeout))
    )
