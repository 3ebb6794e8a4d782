"""Style sheets, scripts and icons of a running service, and the versions in their URLs."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
from support.chromium import flawless, launched
from support.raw_http import ask
from support.server import Server, serve, write

SOURCES = {file.name: file.read_bytes() for file in Path("service/static").iterdir()}
FILM = Path("media/sample.mp4").read_bytes()
IMMUTABLE = "public, max-age=31536000, immutable"
# Every way to write a specifier; the second one also finds dynamic imports.
STATIC_IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*["']([^"']+)["']""")
ANY_IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["']([^"']+)["']""")


# Strings, comments, and white space between other characters.
TOKENS = re.compile(r"""("[^"\n]*"|`[^`\n]*`)|/\*[\s\S]*?\*/|(?<![:\\])//.*|;?\s+(?=\})|\s+""")


def code(data: bytes) -> str:
    """Return a script or style sheet without comments, white space, and semicolons before `}`."""
    return re.sub(r";(?=\})", "", TOKENS.sub(r"\1", data.decode()))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media: Path = tmp_path_factory.mktemp("static") / "media"
    write(media, "film.mp4", FILM)
    with serve(media) as running:
        yield running


def page(server: Server, target: str) -> str:
    return ask(server.base, target, {"Accept": "text/html"}).body.decode()


def version(server: Server) -> str:
    (digest,) = set(re.findall(r'"/static/([0-9a-f]{16})/', page(server, "/")))
    return str(digest)


def imported(script: str, form: re.Pattern[str] = ANY_IMPORT) -> set[str]:
    """Return the names of the modules that a script imports, directly or through others."""
    modules = {script}
    queue = [script]
    while queue:
        base = f"/static/0/{queue.pop()}"
        for specifier in form.findall(SOURCES[base.rpartition("/")[2]].decode()):
            folder, _, name = urljoin(base, specifier).rpartition("/")
            assert folder == "/static/0", (base, specifier)
            if name not in modules:
                modules.add(name)
                queue.append(name)
    return modules - {script}


@pytest.mark.parametrize("name", SOURCES)
def test_a_file_of_the_current_version_is_immutable(server: Server, name: str) -> None:
    answer = ask(server.base, f"/static/{version(server)}/{name}")
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == IMMUTABLE
    if name.endswith((".css", ".js")):
        assert code(answer.body) == code(SOURCES[name])
        assert len(answer.body) < len(SOURCES[name])
    else:
        assert answer.body == SOURCES[name]


@pytest.mark.parametrize("name", [name for name in SOURCES if name.endswith(".js")])
def test_no_string_of_a_script_spans_several_lines(name: str) -> None:
    """Otherwise the test above would not see what became of it."""
    assert all(line.count("`") % 2 == 0 for line in SOURCES[name].decode().splitlines())


@pytest.mark.parametrize("prefix", ["", "0123456789abcdef/", "x/"])
def test_a_url_of_another_version_gets_the_current_file_with_revalidation(
    server: Server, prefix: str
) -> None:
    answer = ask(server.base, f"/static/{prefix}watch.js")
    assert (answer.status, code(answer.body)) == (200, code(SOURCES["watch.js"]))
    assert answer.headers["Cache-Control"] == "no-cache"
    headers = {"If-None-Match": answer.headers["ETag"]}
    assert ask(server.base, f"/static/{prefix}watch.js", headers).status == 304


def test_a_version_in_the_query_is_ignored(server: Server) -> None:
    answer = ask(server.base, f"/static/style.css?v={version(server)}")
    assert answer.headers["Cache-Control"] == "no-cache"


def test_unknown_files_are_not_found(server: Server) -> None:
    current = version(server)
    others = (f"{current}/{name}" for name in ("none.js", "", "a/watch.js"))
    for target in ("none.js", current, *others):
        answer = ask(server.base, f"/static/{target}")
        assert answer.status == 404, target
        assert answer.headers["Cache-Control"] == "no-store", target


@pytest.mark.parametrize("target", ["/", "/watch/film.mp4", "/embed/film.mp4", "/nothing"])
def test_pages_link_to_files_of_the_current_version(server: Server, target: str) -> None:
    names = re.findall(r'(?:href|src)="/static/([^"]*)"', page(server, target))
    assert names
    for name in names:
        assert name.partition("/")[0] == version(server)
        assert name.partition("/")[2] in SOURCES


@pytest.mark.parametrize(
    ("target", "script"),
    [("/", "library.js"), ("/watch/film.mp4", "watch.js"), ("/embed/film.mp4", "watch.js")],
)
def test_every_module_of_a_page_is_preloaded(server: Server, target: str, script: str) -> None:
    html = page(server, target)
    (src,) = re.findall(r'<script type="module"\s+src="/static/\w+/([^"]+)"', html)
    assert src == script
    preloaded = re.findall(r'<link rel="modulepreload" href="/static/\w+/([^"]+)">', html)
    assert len(preloaded) == len(set(preloaded))
    assert set(preloaded) == imported(script, STATIC_IMPORT)


@pytest.mark.parametrize(
    ("target", "script"), [("/", "library.js"), ("/watch/film.mp4", "watch.js")]
)
def test_a_browser_fetches_every_module_once(server: Server, target: str, script: str) -> None:
    with launched() as browser, flawless(browser, server.base) as tab:
        fetched: list[str] = []
        tab.on("request", lambda request: fetched.append(request.url))
        tab.goto(target)
        tab.wait_for_load_state("networkidle")
    prefix = f"{server.base}/static/{version(server)}/"
    scripts = [url.removeprefix(prefix) for url in fetched if url.endswith(".js")]
    assert len(scripts) == len(set(scripts))
    # Others are loaded when they are wanted.
    assert {script, *imported(script, STATIC_IMPORT)} <= set(scripts)
    assert set(scripts) <= {script, *imported(script)}
