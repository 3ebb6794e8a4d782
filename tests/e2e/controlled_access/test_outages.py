"""Access control at an edge without the service, without its key, and beside other edges."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any
from urllib.parse import quote

import pytest
from support.access import sign_in
from support.raw_http import Answer, ask
from support.server import BLOCK, content, until, write
from support.shared_links import KeyHolder, media
from support.stack import Stack, address_of, container, docker, pause, restart_edge

pytestmark = pytest.mark.stack

FILM = "Films/outage.mp4"
DATA = content(2 * BLOCK, 19)
RANGE = {"Range": "bytes=0-"}
REVOKED = "revoked-for-good"


def get(base: str, target: str, **headers: str) -> Answer:
    return ask(base, target, RANGE | headers)


@pytest.fixture(scope="module")
def revision(stack: Stack) -> str:
    """Bring the film's first block into the cache; return the film's revision."""
    write(stack.media, FILM, DATA)
    answer = get(stack.base, media(KeyHolder.of(stack).link(f"v{FILM}"), FILM))
    assert answer.status == 206
    return answer.headers["ETag"].strip('"')


@contextmanager
def without_service(stack: Stack) -> Iterator[None]:
    name = stack.containers("service")[0]
    docker("kill", name)
    try:
        yield
    finally:
        docker("start", name)
        stack.up()


@pytest.mark.slow
def test_a_form_that_was_not_answered_is_not_sent_again_without_its_body(stack: Stack) -> None:
    name = stack.containers("service")[0]
    pause(name)
    resumed = Timer(22, docker, ["unpause", name])  # seconds: 7 after the edge's read timeout
    resumed.start()
    answer = sign_in(stack.base)
    resumed.join()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")


def test_without_the_service_cached_blocks_are_for_the_same_viewers(
    stack: Stack, revision: str
) -> None:
    keys = KeyHolder.of(stack)
    link, cookie = keys.link(f"v{FILM}"), keys.cookie()
    revoked = keys.link(f"v{FILM}", identity=REVOKED)
    stack.run("service", "mkdir", "-p", "/var/lib/reelay/revoked")
    stack.run("service", "sh", "-c", f"echo 0 >/var/lib/reelay/revoked/{REVOKED}")
    until(
        lambda: get(stack.base, media(revoked, FILM, revision)).status == 410,
        "taken back",
    )
    forged = KeyHolder(b"\1" * 32).link(f"v{FILM}")
    since = str(int(time.time()))
    with without_service(stack):
        for _ in range(2):
            for prefix, headers in ((link, {}), ("", cookie)):
                answer = get(stack.base, media(prefix, FILM, revision), **headers)
                assert (answer.status, answer.body) == (206, DATA[:BLOCK])
                assert answer.headers["X-Cache"] == "HIT"
            for prefix in (revoked, forged, keys.link("fOther"), ""):
                answer = get(stack.base, media(prefix, FILM, revision))
                assert (answer.status, answer.headers["Cache-Control"]) == (503, "no-store")
                assert answer.headers["Retry-After"] == "2"
            answer = ask(stack.base, f"{link}/watch/{FILM}", {"Accept": "text/html", **cookie})
            assert (answer.status, answer.headers["Referrer-Policy"]) == (503, "no-referrer")
            # An edge that starts anew knows what it knew before.
            restart_edge(stack)
    lines = stack.lines("nginx", "--since", since)
    assert_no_secrets(lines, [link, revoked, forged, cookie["Cookie"]])
    errors = [line for line in lines if "[error]" in line]
    assert any(f'"GET /s/{REVOKED}/media/' in line for line in errors)


def assert_no_secrets(lines: list[str], secrets: list[str]) -> None:
    """Check that nothing is logged of a token but its identity."""
    text = "\n".join(lines)
    for secret in secrets:
        *_, subject, mac = secret.split(".")
        assert mac not in text
        assert f".{subject}" not in text


def test_no_log_has_a_token(stack: Stack, revision: str) -> None:
    keys = KeyHolder.of(stack)
    link = keys.link(f"v{FILM}", identity="logged-logged-16")
    cookie = keys.cookie()
    since = str(int(time.time()))
    escaped = link.removeprefix("/s/").replace(".", "%2E")
    referrer = {"Referer": f"{stack.base}{link}/watch/a.mp4"}
    for target in (
        media(link, FILM, revision),
        f"{link}/watch/{FILM}",
        f"{link}/api/videos/{FILM}",
        f"/s/{escaped}/media/{FILM}",
        f"/%73/{escaped}/media/{FILM}",
        # The address that the link's page names to those who show previews of it.
        f"{link}/oembed?url={quote(f'{stack.base}{link}/watch/{FILM}', safe='')}",
        f"{link}/oembed?url={stack.base}{link}/watch/{FILM}",
        f"/x/../s/{escaped}/media/{FILM}",
        f"//s/{escaped}/watch/{FILM}",
        f"/S/{escaped.replace('%2E', '.')}/media/{FILM}",
        f"/s%252f{escaped}/media/{FILM}",
        f"/sign-in?next={link}/",
        f"/sign-in/callback?code={link.rpartition('.')[2]}&state=x",
        f"{link}/{'x' * 5000}",
    ):
        get(stack.base, target, **cookie, **referrer)
    get(stack.unencrypted, media(link, FILM))
    # A request that nginx itself refuses, with a line in its error log.
    assert get(stack.base, media(link, FILM), **{"Content-Length": "1" * 30}).status == 400

    def requests() -> list[dict[str, Any]]:
        return stack.events("nginx", "request", "--since", since)

    # The edge writes its lines a second late at most.
    until(lambda: any(line["status"] == 400 for line in requests()), "the last one is logged")
    assert any(line["uri"].startswith("/s/logged-logged-16/media/") for line in requests())
    for service in ("nginx", "service"):
        lines = stack.lines(service, "--since", since)
        assert_no_secrets(lines, [link, cookie["Cookie"]])
        assert escaped.rpartition("%2E")[2] not in "\n".join(lines)


def test_an_edge_without_the_key_asks_the_service_for_everything(
    stack: Stack, revision: str
) -> None:
    keys = KeyHolder.of(stack)
    with another_edge(stack) as (name, base):
        answer = get(base, media(keys.link(f"v{FILM}"), FILM, revision))
        assert (answer.status, answer.headers["X-Cache"]) == (206, "BYPASS")
        assert get(base, media("", FILM, revision)).status == 401
        log = until(lambda: complaints(name), "the edge says what is missing")
        assert "REELAY_KEY" in log[0]


def test_an_edge_with_a_wrong_key_opens_nothing_by_it(stack: Stack, revision: str) -> None:
    keys, wrong = KeyHolder.of(stack), KeyHolder(b"\2" * 32)
    with another_edge(stack, "--env", f"REELAY_KEY={wrong.master.hex()}") as (name, base):
        until(lambda: complaints(name), "the edge says what is wrong")
        assert get(base, media(wrong.link(f"v{FILM}"), FILM, revision)).status == 403
        assert get(base, media(keys.link(f"v{FILM}"), FILM, revision)).status == 206


@contextmanager
def another_edge(stack: Stack, *words: str) -> Iterator[tuple[str, str]]:
    """Start an edge without the volume of the state; yield its container and address."""
    image = f"{stack.project}-nginx"
    with container(stack, "--tmpfs", "/run/nginx:uid=101,mode=755", *words, image) as name:
        docker("network", "connect", f"{stack.project}_backend", name)
        base = f"https://{address_of(name)}:8443"
        until(lambda: is_healthy(name), "the edge is healthy")
        # It was connected after its start: it resolves the service's name again every two seconds.
        until(lambda: get(base, "/sign-in").status == 200, "the edge reaches the service")
        yield name, base


def is_healthy(name: str) -> bool:
    return docker("inspect", "--format", "{{.State.Health.Status}}", name) == "healthy"


def complaints(name: str) -> list[str]:
    """Return the lines of an edge's error log about access control."""
    result = subprocess.run(["docker", "logs", name], capture_output=True, text=True, check=True)
    lines = result.stderr.splitlines()
    return [line for line in lines if "access control:" in line]


def test_an_edge_whose_key_is_refused_forgets_what_it_knew(stack: Stack, revision: str) -> None:
    other, since = KeyHolder(b"\3" * 32), str(int(time.time()))
    stack.run("service", "sh", "-c", f"echo {other.master.hex()} >/var/lib/reelay/key")
    until(
        lambda: any("not accept the key" in x for x in stack.lines("nginx", "--since", since)),
        "the service, which has the old key, refuses the edge",
    )
    target = media(other.link(f"v{FILM}"), FILM, revision)
    with without_service(stack):
        ends = time.monotonic() + 7  # seconds: the edge asks at least twice
        while time.monotonic() < ends:
            assert get(stack.base, target).status == 503
            time.sleep(0.5)


def test_a_changed_key_ends_all_links_and_sessions(stack: Stack, revision: str) -> None:
    old = KeyHolder.of(stack)
    link, cookie = old.link(f"v{FILM}"), old.cookie()
    stack.run("service", "rm", "/var/lib/reelay/key")
    stack.compose("restart", "service")
    stack.up()
    new = KeyHolder.of(stack)
    assert new != old
    target = media(link, FILM, revision)
    until(lambda: get(stack.base, target).status == 403, "the old link is over")
    assert get(stack.base, media("", FILM, revision), **cookie).status == 401
    until(
        lambda: get(stack.base, media(new.link("f"), FILM, revision)).headers["X-Cache"] == "HIT",
        "the edge has the new key",
    )


def test_signing_out_everywhere_ends_sessions_and_no_links(stack: Stack, revision: str) -> None:
    keys = KeyHolder.of(stack)
    cookie = keys.cookie()
    target = media("", FILM, revision)
    assert get(stack.base, target, **cookie).headers["X-Cache"] == "HIT"
    stack.run("service", "sh", "-c", "echo 1 >/var/lib/reelay/generation")
    until(lambda: get(stack.base, target, **cookie).status == 401, "it has ended")
    assert get(stack.base, target, **keys.cookie(generation=1)).headers["X-Cache"] == "HIT"
    assert get(stack.base, media(keys.link("f"), FILM, revision)).headers["X-Cache"] == "HIT"


def test_a_proxy_names_the_user_and_other_edges_prove_themselves(
    stack: Stack, revision: str
) -> None:
    stack.configure(
        TRUSTED_PROXIES=stack.gateway,
        AUTH_HEADER="Remote-User",
        EDGES="edge-1,edge-2",
        EDGE_NAME="edge-1",
    )
    keys = KeyHolder.of(stack)
    target = media("", FILM, revision)
    named = {"Remote-User": "anna"}
    until(
        lambda: get(stack.base, target, **named).headers["X-Cache"] in {"HIT", "PEER"},
        "the edge has learnt it",
    )
    assert get(stack.base, "/api/videos", **named).status == 200
    for headers in ({}, {"Remote-User": ""}, {"X-Reelay-User": "anna"}):
        assert get(stack.base, target, **headers).status == 401
        assert get(stack.base, "/api/videos", **headers).status == 401
    # From another address than the proxy's.
    edge = address_of(stack.containers("nginx")[0], "backend")
    for path in (target, "/api/videos"):
        assert status_inside(stack, f"https://{edge}:8443{path}", named) == 401
    peer = f"http://{edge}:9146{target}"
    block = {"Range": f"bytes=0-{BLOCK - 1}"}
    assert status_inside(stack, peer, block | named | keys.cookie()) == 403
    assert status_inside(stack, peer, block | {"X-Reelay-Edge": "0" * 64}) == 403
    assert status_inside(stack, peer, block | {"X-Reelay-Edge": keys.credential}) == 206


def status_inside(stack: Stack, url: str, headers: dict[str, str]) -> int:
    """Return the status of a request from the service's container."""
    source = (
        "import json, ssl, sys, urllib.error, urllib.request\n"
        "request = urllib.request.Request(sys.argv[1], headers=json.loads(sys.argv[2]))\n"
        "try:\n"
        "    context = ssl._create_unverified_context()\n"
        "    print(urllib.request.urlopen(request, context=context).status)\n"
        "except urllib.error.HTTPError as error:\n"
        "    print(error.code)\n"
    )
    return int(stack.inside(source, url, json.dumps(headers)))
