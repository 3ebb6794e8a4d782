"""What a share link opens, as a table of paths."""

import pytest

from service.access.grants import Grant, Scope
from service.access.routes import is_download, is_open, is_shared

VIDEO = Grant(Scope("video", "Films/film.mp4"))
FOLDER = Grant(Scope("folder", "Films"))
LIBRARY = Grant(Scope("folder", ""))

BOTH, BELOW, WHOLE, NONE = "both", "below", "whole", "none"
"""Opened by all three links, by the folder's and the library's, by the library's alone, by none."""

PATHS = [
    ("/", BOTH),
    ("/videos", BOTH),
    ("/api/videos", BOTH),
    ("/oembed", BOTH),
    ("/playlists", BOTH),
    ("/series/Any title", BOTH),
    ("/watch/Films/film.mp4", BOTH),
    ("/embed/Films/film.mp4", BOTH),
    ("/media/Films/film.mp4", BOTH),
    ("/download/Films/film.mp4", BOTH),
    ("/copies/Films/film.mp4", BOTH),
    ("/api/videos/Films/film.mp4", BOTH),
    ("/api/next/Films/film.mp4", BOTH),
    ("/posters/Films/film.mp4", BOTH),
    ("/posters/Films/film.mp4.jpg", BOTH),
    ("/storyboards/Films/film.mp4.vtt", BOTH),
    ("/storyboards/Films/film.mp4/3.webp", BOTH),
    ("/captions/Films/film.mp4/en.vtt", BOTH),
    ("/playlists/Films/film.mp4.m3u", BOTH),
    ("/posters/Films/", BELOW),
    ("/posters/Films/Old/", BELOW),
    ("/media/Films/film 2.mp4", BELOW),
    ("/media/Films/film.mp4/inside.mp4", BELOW),
    ("/media/Films/Old/a.mp4", BELOW),
    ("/captions/Films/a.mp4/en.vtt", BELOW),
    ("/media/Films 2/a.mp4", WHOLE),
    ("/media/Filmsa.mp4", WHOLE),
    ("/media/films/film.mp4", WHOLE),
    ("/posters/Films 2/", WHOLE),
    ("/storyboards/Films.vtt", WHOLE),
    ("/captions/Films/en.vtt", WHOLE),
    ("/media/Films/../Films/film.mp4", NONE),
    ("/media/Films//film.mp4", NONE),
    ("/media/Films/./film.mp4", NONE),
    ("/media//Films/film.mp4", NONE),
    ("/media/", NONE),
    ("/watch/../media/Films/film.mp4", NONE),
    ("/metrics", NONE),
    ("/operators", NONE),
    ("/healthz", NONE),
    ("/_revision", NONE),
    ("/_access", NONE),
    ("/links", NONE),
    ("/sign-in", NONE),
    ("/sign-out", NONE),
    ("/openapi.json", NONE),
    ("/static/watch.js", NONE),
    ("/s/1.0.AAECAwQFBgcICQoL", NONE),
    ("/posters", NONE),
    ("/posters/", NONE),
    ("//", NONE),
    ("", NONE),
]


@pytest.mark.parametrize(("path", "opened"), PATHS, ids=[path for path, _ in PATHS])
def test_what_links_open(path: str, opened: str) -> None:
    assert is_shared(path, VIDEO) == (opened == BOTH)
    assert is_shared(path, FOLDER) == (opened in {BOTH, BELOW})
    assert is_shared(path, LIBRARY) == (opened in {BOTH, BELOW, WHOLE})


@pytest.mark.parametrize(
    "path",
    ["/sign-in", "/sign-in/callback", "/static/a/watch.js", "/favicon.ico", "/robots.txt",
     "/healthz", "/readyz"],
)  # fmt: skip
def test_what_is_open_to_everybody(path: str) -> None:
    assert is_open(path)


@pytest.mark.parametrize(
    "path",
    ["/", "/videos", "/sign-out", "/sign-ins", "/static", "/metrics", "/operators", "/_revision",
     "/_access", "/openapi.json", "/links", "/nothing", "//static/a", "/Static/a", "/healthz/"],
)  # fmt: skip
def test_what_is_not(path: str) -> None:
    assert not is_open(path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/download/a.mp4", True), ("/playlists/a.mp4.m3u", True), ("/playlists", True),
     ("/media/a.mp4", False), ("/watch/download/a.mp4", False)],
)  # fmt: skip
def test_what_a_link_without_downloads_does_not_open(path: str, expected: bool) -> None:  # noqa: FBT001
    assert is_download(path) == expected
