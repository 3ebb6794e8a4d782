"""The parts of access control, connected: the second half of the composition root."""

from dataclasses import dataclass
from typing import Any

from quart import Quart

from service.access.control import AccessControl, StateError, load_key
from service.composition.stores import open_state
from service.errors import RefusedError
from service.http.instrumentation import ASGIApp
from service.http.origins import Origins
from service.library.visible import VisibleLibrary
from service.pages.share_links import ShareLinkViews
from service.settings.environment import PREFIX, Settings, SettingsError
from service.sign_in.cookies import SessionCookies
from service.sign_in.middleware import AccessMiddleware
from service.sign_in.views import AccessView, SignInViews


@dataclass(frozen=True, slots=True)
class AccessParts:
    """What checks requests, if access is controlled."""

    control: AccessControl
    cookies: SessionCookies


def open_control(settings: Settings) -> AccessControl | None:
    """Return the access control, whose state was read; None if the library is open to everybody.

    Its key is made if there is none. Raises StateError, SettingsError.
    """
    _check_openid(settings)
    if not settings.has_access_control:
        return None
    try:
        state = open_state(settings)
        control = AccessControl(state, load_key(state, settings.key))
        control.load()
    except (StateError, OSError, ValueError) as error:
        where = f"{PREFIX}STATE={str(settings.state or '')!r}"
        raise StateError(f"{where}: {error}") from error
    return control


def _check_openid(settings: Settings) -> None:
    """Raise SettingsError if OpenID Connect is set in part: the library might be open."""
    needed = ("oidc_issuer", "oidc_client_id", "oidc_allowed")
    given = [name for name in (*needed, "oidc_client_secret") if getattr(settings, name)]
    missing = [name for name in needed if given and name not in given]
    if missing:
        name, other = (f"{PREFIX}{name.upper()}" for name in (missing[0], given[0]))
        raise SettingsError(f"{name}: is needed with {other}")


def open_access(settings: Settings, origins: Origins) -> AccessParts | None:
    """Return the parts; None if the library is open to everybody. Raises StateError."""
    control = open_control(settings)
    return AccessParts(control, SessionCookies(control, origins)) if control else None


def edge_credential(parts: AccessParts | None) -> str | None:
    """Return what opens the metrics of replicas; None if they are open to everybody."""
    return parts.control.edge_credential if parts else None


def add_access_routes(
    app: Quart,
    settings: Settings,
    parts: AccessParts | None,
    origins: Origins,
    library: VisibleLibrary,
) -> None:
    """Add the routes to sign in and out, those of share links, and what edges ask."""
    edge = AccessView(parts.control if parts else None, settings.auth_header)
    routes: list[tuple[str, str, str, Any]] = [("/_access", "access", "GET", edge.show)]
    if parts is not None:
        share_links = ShareLinkViews(parts.control, library)
        views = SignInViews(
            parts.control,
            parts.cookies,
            origins,
            password=settings.password,
            issuer=settings.oidc_issuer,
        )
        app.before_request(views.refuse)
        app.register_error_handler(RefusedError, views.refused)
        routes += [
            ("/sign-in", "sign_in", "GET", views.show),
            ("/sign-in", "submit_sign_in", "POST", views.sign_in),
            ("/sign-out", "sign_out", "POST", views.sign_out),
            ("/links", "links", "GET", share_links.show),
            ("/links", "make_link", "POST", share_links.make),
            ("/links/<link_id>/revoke", "revoke_link", "POST", share_links.revoke),
        ]
        if settings.oidc_issuer is not None:
            routes += _openid_routes(settings, parts, views)
    for rule, name, method, view in routes:
        app.add_url_rule(rule, name, view, methods=[method], provide_automatic_options=False)


def _openid_routes(
    settings: Settings, parts: AccessParts, pages: SignInViews
) -> list[tuple[str, str, str, Any]]:
    # The libraries take 0.3 s to import.
    from service.sign_in.openid import OpenIDClient  # noqa: PLC0415
    from service.sign_in.openid_views import OpenIDViews  # noqa: PLC0415

    client = OpenIDClient(
        settings.oidc_issuer or "",
        settings.oidc_client_id or "",
        settings.oidc_client_secret,
        settings.oidc_allowed,
    )
    views = OpenIDViews(client, parts.control, parts.cookies, pages)
    return [
        ("/sign-in/oidc", "begin_openid", "GET", views.begin),
        ("/sign-in/callback", "finish_openid", "GET", views.finish),
    ]


def add_access_middleware(
    app: ASGIApp,
    refused_app: ASGIApp,
    settings: Settings,
    parts: AccessParts | None,
    origins: Origins,
) -> ASGIApp:
    """Return an application that `app` is behind; `refused_app` answers refused requests."""
    if parts is None:
        return app
    return AccessMiddleware(
        app,
        refused_app,
        parts.control,
        parts.cookies,
        origins,
        user_header=settings.auth_header,
        metrics_token=settings.metrics_token,
    )
