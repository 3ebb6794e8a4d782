"""The Quart application without routes: its settings, templates and OpenAPI schema."""

from collections.abc import Callable

from quart import Quart
from quart_schema import QuartSchema

from service import __version__
from service.access.grants import current_grant
from service.api.openapi import JSONRoutes
from service.api.videos import MAX_QUERY_LENGTH
from service.http.application import ReelayApp
from service.http.static import StaticViews
from service.items import links
from service.pages.formatting import format_duration, format_iso_time, format_length, format_moment
from service.pages.link_preview import link_preview
from service.pages.template_layout import WithoutLayout
from service.settings.environment import Settings

_MAX_FORM_BYTES = 16 * 1024


def quart_app(static: StaticViews, settings: Settings) -> tuple[Quart, QuartSchema]:
    """Return an application without routes, and its OpenAPI schema."""
    app = ReelayApp("service", static_folder=None)
    app.config["RESPONSE_TIMEOUT"] = None  # the kernel ends stalled ones, `listen` in __main__.py
    app.config["MAX_CONTENT_LENGTH"] = _MAX_FORM_BYTES
    app.url_map.merge_slashes = False  # `//` in a path is a name that does not exist
    app.jinja_env.add_extension(WithoutLayout)
    app.jinja_env.filters.update(
        duration=format_duration,
        length_of_time=format_length,
        moment=format_moment,
        iso_time=format_iso_time,
    )
    app.jinja_env.globals.update(
        url=_url_builder(static),
        modules=static.modules,
        max_query_length=MAX_QUERY_LENGTH,
        link_preview=link_preview,
        prefix=links.prefix,
        grant=current_grant,
        reports_viewing=settings.viewing_reports == "on",
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
    # Views return responses, no models. To look for these took a tenth of a short response.
    del app.make_response
    return app, schema


def _url_builder(static: StaticViews) -> Callable[..., str]:
    def url(name: str, filename: str = "") -> str:
        return static.url(filename) if name == "static" else links.page(name)

    return url
