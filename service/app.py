"""The composition root: `create_app` builds all parts, connects them and lists the routes."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quart import Quart
from quart_schema import QuartSchema

from service import __version__
from service.api.artefacts import ArtefactViews
from service.api.copies import CopyViews
from service.api.handlers import embed_policy, register_handlers
from service.api.openapi import JSONRoutes, OpenapiView
from service.api.ops import OpsViews
from service.api.playlists import PlaylistViews
from service.api.representations import RepresentationCounts
from service.api.robots import RobotsView
from service.api.video_items import VideoItems
from service.api.videos import ApiViews
from service.artefact_store.folder import FolderArtefactStore
from service.artefact_store.store import ArtefactStore
from service.artefacts.builder import ArtefactBuilder, WorkerPools
from service.artefacts.fast_start_layouts import FastStartLayoutStore
from service.artefacts.film_copies import FilmCopies
from service.artefacts.jpeg import JpegPosters
from service.artefacts.metadata import ArtefactKind
from service.artefacts.probe_cache import ProbeCache
from service.artefacts.scheduler import ArtefactScheduler
from service.artefacts.stored_layouts import StoredLayouts
from service.event_loop import monitor_lag
from service.http.cors import CorsMiddleware
from service.http.hosts import HostCheckMiddleware
from service.http.instrumentation import InstrumentationMiddleware
from service.http.media import MediaMiddleware, MediaViews, RepresentationOpener
from service.http.origins import Origins
from service.http.static import StaticViews
from service.library.library import Library, ScanTiming
from service.metrics import Metrics
from service.pages.embed import EmbedPage
from service.pages.formatting import format_duration
from service.pages.library_page import LibraryPage
from service.pages.link_preview import link_preview
from service.pages.oembed import OembedView
from service.pages.watch_page import WatchPage
from service.probing.prober import Prober
from service.representations.copied import Copied
from service.representations.fast_start import FastStart
from service.representations.remuxed import Remuxed
from service.settings import Settings
from service.storage.left_out import LeftOutLog, LibraryFilter
from service.storage.local.folder import LocalStorage
from service.storage.media_root import MediaRoot, StoreRef
from service.storage.object_store.config import open_store
from service.supervisor import Supervisor
from service.workers.playback_activity import PlaybackActivity
from service.workers.pool import WorkerPool

if TYPE_CHECKING:
    from service.storage.object_store.storage import ObjectStorage


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of an application that `__main__` uses."""

    ops: OpsViews
    instrumentation: InstrumentationMiddleware


def create_app(settings: Settings) -> Quart:
    """Build the application. Its parts start and stop with the server (ASGI lifespan)."""
    metrics = Metrics()
    supervisor = Supervisor(metrics.background_failures)
    library_filter = LibraryFilter(settings.ignore, LeftOutLog())
    storage = _storage(settings, library_filter, metrics)
    media_root = (
        MediaRoot(root=storage.root)
        if isinstance(storage, LocalStorage)
        else MediaRoot(store=StoreRef(str(settings.media), settings.store_timeout))
    )
    artefact_store = _artefact_store(settings)
    pools = WorkerPools(WorkerPool(settings.workers, pictures=True), WorkerPool())
    builder = ArtefactBuilder(media_root, artefact_store, pools, metrics, _kinds(settings))
    playback = PlaybackActivity()
    scheduler = ArtefactScheduler(builder, artefact_store, pools, playback, metrics)
    prober = Prober()
    library = Library(
        storage=storage,
        media_root=media_root,
        prober=prober,
        probe_cache=ProbeCache(artefact_store),
        listener=scheduler,
        playback=playback,
        metrics=metrics,
        timing=ScanTiming(settings.rescan_interval, settings.settle_time),
        block=settings.max_partial_size,
        is_relevant=library_filter.is_relevant,
    )
    fast_start = FastStart(storage, FastStartLayoutStore(artefact_store))
    layouts = StoredLayouts(artefact_store, scheduler)
    copies = FilmCopies(artefact_store, scheduler)
    players = Copied(Remuxed(fast_start.open, layouts).open, copies)
    openers: Mapping[str, RepresentationOpener] = {
        "media": players.open,
        "download": storage.open,
    }
    media = MediaViews(openers)
    items = VideoItems(scheduler, settings.max_partial_size)
    RepresentationCounts(lambda: library.catalogue.videos, scheduler, metrics)
    library_page = LibraryPage(library, items)
    watch_page = WatchPage(library, items, scheduler)
    embed_page = EmbedPage(library, items, embed_policy(settings.embed_origins))
    oembed = OembedView(library, items)
    api = ApiViews(library, items)
    jpegs = JpegPosters(artefact_store)
    artefacts = ArtefactViews(scheduler, jpegs)
    playlists = PlaylistViews(library)
    ops = OpsViews(metrics, lambda: library.scanned, supervisor)
    static = StaticViews(int(time.time()))

    app, schema = _quart(static)

    @app.while_serving
    async def work_in_background() -> AsyncGenerator[None]:
        async with AsyncExitStack() as opened:  # closed in reverse, also if a start fails
            for threads in (storage, fast_start, layouts, copies, jpegs, scheduler):
                opened.callback(threads.close)
            for processes in (*pools, prober):
                opened.push_async_callback(processes.close)
            opened.push_async_callback(supervisor.stop)
            supervisor.start("measuring loop lag", partial(monitor_lag, metrics.loop_lag.observe))
            library.start(supervisor)
            scheduler.start(supervisor)
            yield

    routes: list[tuple[str, str, Callable[..., Awaitable[Any]]]] = [
        ("/", "library", library_page.show),
        ("/watch/<path:path>", "watch", watch_page.show),
        ("/embed/<path:path>", "embed", embed_page.show),
        ("/oembed", "oembed", oembed.show),
        ("/media/<path:path>", "media", media.error),
        ("/download/<path:path>", "download", media.error),
        ("/api/videos", "api_videos", api.videos),
        ("/api/videos/<path:path>", "api_video", api.video),
        ("/posters/<path:path>", "poster", artefacts.poster),
        ("/posters/<path:path>.jpg", "poster_as_jpeg", artefacts.poster_as_jpeg),
        ("/storyboards/<path:path>.vtt", "storyboard", artefacts.storyboard),
        ("/storyboards/<path:path>/<int:number>.webp", "sheet", artefacts.sheet),
        ("/captions/<path:path>/<track>.vtt", "captions", artefacts.captions),
        ("/copies/<path:path>", "copies", CopyViews(library, scheduler).make),
        ("/playlists/<path:path>.m3u", "playlist", playlists.video),
        ("/playlists", "folder_playlist", playlists.folder),
        ("/openapi.json", "openapi", OpenapiView(schema).show),
        ("/static/<name>", "static", static.static),
        ("/static/<version>/<name>", "static", static.static),
        ("/favicon.ico", "favicon", static.favicon),
        ("/robots.txt", "robots", RobotsView(indexable=settings.search_engines == "on").show),
        ("/_revision", "revision", media.revision),
        ("/healthz", "healthz", ops.healthz),
        ("/readyz", "readyz", ops.readyz),
        ("/metrics", "metrics", ops.metrics),
    ]
    for rule, name, view in routes:
        methods = ["POST" if name == "copies" else "GET"]
        app.add_url_rule(rule, name, view, methods=methods, provide_automatic_options=False)

    origins = Origins(settings.trusted_proxies)
    app.before_request(origins.set_origin)
    register_handlers(app, indexable=settings.search_engines == "on")
    instrumentation = _add_middleware(
        app, settings, origins=origins, openers=openers, playback=playback, metrics=metrics
    )
    app.extensions["reelay"] = Services(ops, instrumentation)
    return app


def _add_middleware(  # noqa: PLR0913 # each part of the application once
    app: Quart,
    settings: Settings,
    *,
    origins: Origins,
    openers: Mapping[str, RepresentationOpener],
    playback: PlaybackActivity,
    metrics: Metrics,
) -> InstrumentationMiddleware:
    """Put what runs before Quart in front of it. Return what measures all requests."""
    quart_app: Any = app.asgi_app
    media_app = MediaMiddleware(quart_app, openers, playback, metrics, settings.max_partial_size)
    checked_app = (
        HostCheckMiddleware(media_app, settings.hosts, origins) if settings.hosts else media_app
    )
    instrumentation = InstrumentationMiddleware(checked_app, metrics)
    whole_app = (
        instrumentation
        if settings.cors_origins == "none"
        else CorsMiddleware(instrumentation, settings.cors_origins)
    )
    app.asgi_app = whole_app  # type: ignore[method-assign, assignment]
    return instrumentation


def _storage(
    settings: Settings, library_filter: LibraryFilter, metrics: Metrics
) -> "LocalStorage | ObjectStorage":
    """Return the storage of the media: a folder or an object store."""
    if isinstance(settings.media, Path):
        return LocalStorage(settings.media, library_filter)
    from service.storage.object_store.storage import ObjectStorage  # noqa: PLC0415 # needs an extra

    return ObjectStorage(
        open_store(settings.media, os.environ, timeout=settings.store_timeout),
        block_size=settings.max_partial_size,
        max_bytes=settings.block_cache,
        timeout=settings.store_timeout,
        metrics=metrics,
        library_filter=library_filter,
    )


def _artefact_store(settings: Settings) -> ArtefactStore:
    """Return the artefact store, in a folder or an object store."""
    if isinstance(settings.derived, Path):
        return FolderArtefactStore(settings.derived, settings.derived_size)
    from service.artefact_store.bucket import BucketArtefactStore  # noqa: PLC0415 # as above
    from service.storage.object_store.sync_client import SyncObjectClient  # noqa: PLC0415

    store = open_store(settings.derived, os.environ, timeout=settings.store_timeout)
    return BucketArtefactStore(SyncObjectClient(store), settings.derived_size)


class ReelayApp(Quart):
    """The application. It closes what it opened once, also if it is asked to at the same time by
    Hypercorn and by `__main__`.
    """

    _closing: asyncio.Task[None] | None = None

    async def shutdown(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(super().shutdown())
        await asyncio.shield(self._closing)


def _kinds(settings: Settings) -> list[ArtefactKind]:
    """Return the kinds of artefacts that are made."""
    without = {ArtefactKind.SOUND} if settings.sound == "off" else set[ArtefactKind]()
    return [kind for kind in ArtefactKind if kind not in without]


def _quart(static: StaticViews) -> tuple[Quart, QuartSchema]:
    """Return an application without routes, and its OpenAPI schema."""
    app = ReelayApp("service", static_folder=None)
    app.config["RESPONSE_TIMEOUT"] = None  # the kernel ends stalled ones, `listen` in __main__.py
    app.url_map.merge_slashes = False  # `//` in a path is a name that does not exist
    app.jinja_env.filters["duration"] = format_duration
    app.jinja_env.globals.update(
        url=_url_builder(static),
        modules=static.modules,
        link_preview=link_preview,
        version=__version__,
    )
    schema = QuartSchema(
        app,
        info={"title": "Reelay", "version": __version__},
        openapi_path=None,  # it would be built for each request
        openapi_provider_class=JSONRoutes,
        swagger_ui_path=None,
        redoc_ui_path=None,
        scalar_ui_path=None,
    )
    return app, schema


def _url_builder(static: StaticViews) -> Callable[..., str]:
    def url(name: str, filename: str = "") -> str:
        return static.url(filename) if name == "static" else {"library": "/"}[name]

    return url
