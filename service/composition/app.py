"""The composition root: `create_app` builds all parts, connects them and lists the routes."""

import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from quart import Quart

from service.api.artefacts import ArtefactViews
from service.api.copies import CopyViews
from service.api.document_middleware import ROUTE, DocumentMiddleware
from service.api.handlers import embed_policy, register_handlers
from service.api.next_video import NextVideoView
from service.api.openapi import OpenapiView
from service.api.ops import OpsViews
from service.api.playlists import PlaylistViews
from service.api.robots import RobotsView
from service.api.videos import ApiViews
from service.artefact_store.store import ArtefactStore
from service.artefacts.builder import ArtefactBuilder
from service.artefacts.executors import Executors
from service.artefacts.jpeg import JpegPosters
from service.artefacts.metadata import ArtefactKind
from service.artefacts.probe_cache import ProbeCache
from service.browsing.home_page import HomePage
from service.browsing.library_page import LibraryPage
from service.browsing.series_page import SeriesPage
from service.composition.access import (
    add_access_middleware,
    add_access_routes,
    edge_credential,
    open_access,
)
from service.composition.findings import judge_of_files
from service.composition.quart_app import quart_app
from service.composition.stores import open_artefact_store, open_media
from service.event_loop import monitor_lag
from service.http.bit_rate import BitRateMiddleware
from service.http.cors import CorsMiddleware, PreflightMiddleware
from service.http.hosts import HostCheckMiddleware
from service.http.instrumentation import ASGIApp, InstrumentationMiddleware
from service.http.media import MediaMiddleware, MediaOpeners, MediaViews
from service.http.origins import Origins
from service.http.static import StaticViews
from service.items.video_items import VideoItems
from service.library.library import Library
from service.library.scan_timing import ScanTiming
from service.library.visible import VisibleLibrary
from service.metrics import Metrics
from service.operators.members import Members
from service.operators.page import OperatorsPage
from service.pages.embed import EmbedPage
from service.pages.oembed import OembedView
from service.pages.watch_page import WatchPage
from service.probing.prober import Prober
from service.representations.copied import Copied
from service.representations.fast_start import FastStart
from service.representations.remuxed import Remuxed
from service.representations.sound_choice import SoundChoice
from service.scheduling.reader import ArtefactReader
from service.scheduling.scheduler import ArtefactScheduler
from service.served.representations import RepresentationCounts
from service.served.sounds import SoundOpener
from service.settings.environment import Settings
from service.storage.base import Storage
from service.storage.left_out import LeftOutLog, LibraryFilter
from service.storage.local.folder import LocalStorage
from service.storage.media_root import MediaRoot, StoreRef
from service.stored_representations.fast_start_layouts import FastStartLayoutStore
from service.stored_representations.film_copies import FilmCopies
from service.stored_representations.stored_layouts import StoredLayouts
from service.supervisor import Supervisor
from service.tracing.provider import open_tracing
from service.viewing.view import viewing_routes
from service.workers.playback_activity import PlaybackActivity
from service.workers.pool import Executor, WorkerPool
from service.workers.process import MAX_PICTURE_MEMORY_BYTES

_Route = tuple[str, str, Callable[..., Awaitable[Any]]]
"""The rule, the name and the view."""


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
    tracing = open_tracing(os.environ)
    storage = open_media(settings, library_filter, metrics, tracing.tracer)
    media_root = (
        MediaRoot(root=storage.root)
        if isinstance(storage, LocalStorage)
        else MediaRoot(store=StoreRef(str(settings.media), settings.store_timeout))
    )
    artefact_store = open_artefact_store(settings)
    pool = WorkerPool()
    executors = Executors(
        Executor(pool, settings.workers, MAX_PICTURE_MEMORY_BYTES), Executor(pool)
    )
    builder = ArtefactBuilder(media_root, artefact_store, executors, metrics, _kinds(settings))
    playback = PlaybackActivity()
    scheduler = ArtefactScheduler(builder, artefact_store, executors, playback, metrics)
    reader = ArtefactReader(scheduler, builder, artefact_store)
    prober = Prober(Executor(pool))
    library = Library(
        storage=storage,
        media_root=media_root,
        prober=prober,
        probe_cache=ProbeCache(artefact_store),
        listener=scheduler,
        playback=playback,
        metrics=metrics,
        timing=ScanTiming(settings.rescan_interval, settings.settle_time),
        judge=judge_of_files(settings),
        judged_by=f"{settings.max_partial_size} {settings.sound}",
        database_folder=settings.derived if isinstance(settings.derived, Path) else None,
        is_relevant=library_filter.is_relevant,
    )
    openers, layout_stores = _media_openers(storage, artefact_store, scheduler)
    items = VideoItems(scheduler, settings.max_partial_size)
    RepresentationCounts(lambda: library.forms, scheduler, metrics)
    jpegs = JpegPosters(artefact_store)
    ops = OpsViews(metrics, lambda: library.scanned, supervisor)
    static = StaticViews(int(time.time()))
    origins = Origins(settings.trusted_proxies)
    access = open_access(settings, origins)
    operators = OperatorsPage(
        Members(ops.text, settings.replicas, settings.edge_metrics, edge_credential(access)),
        library,
        items,
    )
    app, schema = quart_app(static, settings)

    @app.while_serving
    async def work_in_background() -> AsyncGenerator[None]:
        async with AsyncExitStack() as opened:  # closed in reverse, also if a start fails
            for threads in (storage, *layout_stores, jpegs, reader, scheduler, library):
                opened.callback(threads.close)
            opened.push_async_callback(pool.close)
            opened.push_async_callback(tracing.close)
            opened.push_async_callback(supervisor.stop)
            supervisor.start("measuring loop lag", partial(monitor_lag, metrics.loop_lag.observe))
            if access is not None:
                supervisor.start("reading the state", access.control.keep_current)
            library.start(supervisor)
            scheduler.start(supervisor)
            supervisor.start("collecting metrics", operators.collect)
            yield

    visible = VisibleLibrary(library)
    api, media = ApiViews(visible, items), MediaViews(openers)
    routes = [
        *_library_routes(visible, items, api, settings),
        *_artefact_routes(ArtefactViews(scheduler, reader, jpegs, visible.folder_image)),
        ("/watch/<path:path>", "watch", WatchPage(visible, items, scheduler, reader).show),
        ("/media/<path:path>", "media", media.error),
        ("/download/<path:path>", "download", media.error),
        ("/copies/<path:path>", "copies", CopyViews(visible, scheduler).make),
        *viewing_routes(metrics, origins, wanted=settings.viewing_reports == "on"),
        ("/operators", "operators", operators.show),
        ("/openapi.json", "openapi", OpenapiView(schema).show),
        ("/static/<name>", "static", static.static),
        ("/static/<version>/<name>", "static", static.static),
        ("/favicon.ico", "favicon", static.favicon),
        ("/robots.txt", "robots", RobotsView(indexable=_is_indexable(settings)).show),
        ("/_revision", "revision", media.revision),
        ("/healthz", "healthz", ops.healthz),
        ("/readyz", "readyz", ops.readyz),
        ("/metrics", "metrics", ops.metrics),
    ]
    _add_routes(app, routes)
    add_access_routes(app, settings, access, origins, visible)
    register_handlers(app, origins, indexable=_is_indexable(settings))
    views: Any = app.asgi_app
    documents = DocumentMiddleware(views, api.document, indexable=_is_indexable(settings))
    media_app = BitRateMiddleware(
        MediaMiddleware(documents, openers, playback, metrics, settings.max_partial_size), library
    )
    admitted_app = add_access_middleware(media_app, views, settings, access, origins)
    app.extensions["reelay"] = Services(
        ops,
        _add_middleware(
            app,
            tracing.wrap(admitted_app),
            settings,
            origins,
            partial(InstrumentationMiddleware, metrics=metrics, playback=playback),
        ),
    )
    return app


def _media_openers(
    storage: Storage, store: ArtefactStore, scheduler: ArtefactScheduler
) -> tuple[MediaOpeners, tuple[FastStart, StoredLayouts, FilmCopies]]:
    """Return what opens files for media routes, and those of its parts that are to be closed."""
    fast_start = FastStart(storage, FastStartLayoutStore(store))
    layouts, copies = StoredLayouts(store, scheduler), FilmCopies(store, scheduler)
    players = SoundChoice(Copied(Remuxed(fast_start.open, layouts).open, copies).open)
    openers = MediaOpeners(
        {"media": players.open, "download": storage.open},
        SoundOpener(scheduler, players.open).open,
    )
    return openers, (fast_start, layouts, copies)


def _library_routes(
    library: VisibleLibrary, items: VideoItems, api: ApiViews, settings: Settings
) -> list[_Route]:
    """Return the routes that only read the library."""
    listing, playlists = LibraryPage(library, items), PlaylistViews(library)
    embed = EmbedPage(library, items, embed_policy(settings.embed_origins))
    return [
        ("/", "library", HomePage(library, items, listing).show),
        ("/videos", "videos", listing.show),
        ("/series/<path:title>", "series", SeriesPage(library, items).show),
        ("/embed/<path:path>", "embed", embed.show),
        ("/oembed", "oembed", OembedView(library, items).show),
        ("/api/videos", "api_videos", api.videos),
        ("/api/videos/<path:path>", ROUTE, api.video),
        ("/api/next/<path:path>", "api_next", NextVideoView(library, items).show),
        ("/playlists/<path:path>.m3u", "playlist", playlists.video),
        ("/playlists", "folder_playlist", playlists.folder),
    ]


def _artefact_routes(views: ArtefactViews) -> list[_Route]:
    return [
        ("/posters/<path:path>", "poster", views.poster),
        ("/posters/<path:path>.jpg", "poster_as_jpeg", views.poster_as_jpeg),
        ("/storyboards/<path:path>.vtt", "storyboard", views.storyboard),
        ("/storyboards/<path:path>/<int:number>.webp", "sheet", views.sheet),
        ("/captions/<path:path>/<track>.vtt", "captions", views.captions),
    ]


def _add_routes(app: Quart, routes: Iterable[_Route]) -> None:
    for rule, name, view in routes:
        methods = ["POST" if name in {"copies", "viewing_reports"} else "GET"]
        app.add_url_rule(rule, name, view, methods=methods, provide_automatic_options=False)


def _add_middleware(
    app: Quart,
    admitted_app: ASGIApp,
    settings: Settings,
    origins: Origins,
    instrumented: Callable[[ASGIApp], InstrumentationMiddleware],
) -> InstrumentationMiddleware:
    """Put what checks and measures all requests in front. Return what measures them."""
    if settings.cors_origins != "none":
        admitted_app = PreflightMiddleware(admitted_app, settings.cors_origins)
    if settings.hosts:
        admitted_app = HostCheckMiddleware(admitted_app, settings.hosts, origins)
    instrumentation = instrumented(admitted_app)
    whole_app = (
        instrumentation
        if settings.cors_origins == "none"
        else CorsMiddleware(instrumentation, settings.cors_origins)
    )
    app.asgi_app = whole_app  # type: ignore[method-assign, assignment]
    return instrumentation


def _is_indexable(settings: Settings) -> bool:
    """Return whether search engines may list the library."""
    return settings.search_engines == "on"


def _kinds(settings: Settings) -> list[ArtefactKind]:
    """Return the kinds of artefacts that are made."""
    return [kind for kind in ArtefactKind if kind != ArtefactKind.SOUND or settings.sound == "on"]
