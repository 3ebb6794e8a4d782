"""The profile `monitoring`: a real Prometheus of a real stack, healthy and broken on purpose."""

import json
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.ffmpeg_fixtures import ffmpeg
from support.prometheus import Prometheus, promtool, queries_of_dashboards, rules
from support.raw_http import ask
from support.server import BLOCK, free_port, until
from support.stack import ROOT, Stack, docker, running

pytestmark = [pytest.mark.slow, pytest.mark.stack]

REPLICAS = 2
BLOCKS = 12
DISK = 64 * 2**20  # as in monitoring.yml
HOUR = timedelta(hours=1)
FAULTS_ON_THE_PAGE = [
    '<tr class="bad"> <th scope="row">[0-9.]+:8000</th> <td colspan="4">does not answer</td>',
    "[0-9.]+ MB, disk full",
    "in [0-9]+ hours, a new one was refused",
    "Failures since the start: the object store, unreachable",
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run two replicas over an object store, an edge with a disk of its own, then Prometheus."""
    media = tmp_path_factory.mktemp("monitored") / "media"
    media.mkdir()
    # A real one, so that the edge knows its bit rate: 2.5 pictures a second without compression.
    seconds = (BLOCKS - 0.5) * BLOCK / (160 * 120 * 3 * 2.5)
    picture = ("-f", "lavfi", "-i", f"testsrc2=size=160x120:rate=2.5:duration={seconds}")
    film = ffmpeg(media / "film.mov", *picture, "-c:v", "rawvideo", "-pix_fmt", "rgb24")
    film.chmod(0o644)
    objects = ROOT / "deploy" / "compose" / "objects.yml"
    disk, port = Path(__file__).with_name("monitoring.yml"), str(free_port())
    with running(media, objects, disk, RESCAN_INTERVAL="5", PROMETHEUS_PORT=port) as stack:
        # Without a registry of images, Debian's package is put into the image of Python.
        image = os.environ.get("PROMETHEUS_IMAGE") or os.environ.get("PYTHON_IMAGE", "")
        stack.variables |= {"COMPOSE_PROFILES": "monitoring", "PROMETHEUS_IMAGE": image}
        stack.compose("build", "prometheus")
        stack.up("--scale", f"service={REPLICAS}")
        yield stack


@pytest.fixture(scope="module")
def prometheus(stack: Stack) -> Prometheus:
    """Return Prometheus once it has found all members."""
    running = Prometheus(f"http://127.0.0.1:{stack.settings['PROMETHEUS_PORT']}")
    members = ["reelay-edge", *["reelay-service"] * REPLICAS]
    until(lambda: running.healthy_targets() == members, "each replica and the edge are scraped")
    return running


def view(stack: Stack, *, played: float = 60, stalled: float = 0) -> None:
    """Report how a film played; request the library and each block of the film."""
    report = {"first_frame": 0.4, "played": played, "stalled": stalled, "frames": 1500}
    body = json.dumps(report).encode()

    def report_is_taken() -> bool:
        return ask(stack.base, "/viewing-reports", method="POST", body=body).status == 204

    until(report_is_taken, "a replica takes the report")  # one that was just killed does not
    ask(stack.base, "/")
    spans = [{"Range": f"bytes={block * BLOCK}-"} for block in range(BLOCKS)]
    with ThreadPoolExecutor(BLOCKS) as viewers:  # a store that is down answers none soon
        list(viewers.map(partial(ask, stack.base, "/media/film.mov"), spans))


def put_certificate(stack: Stack, end: timedelta) -> None:
    """Write a certificate of 90 days, which ends so long after now, into the edge's folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    last = datetime.now(UTC) + end
    dated = builder.not_valid_before(last - 90 * 24 * HOUR).not_valid_after(last)
    chain = dated.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    script = f"cd /etc/nginx/tls && echo '{chain}' >fullchain.pem && echo '{pem}' >privkey.pem"
    stack.run("nginx", "sh", "-c", script)


def names(expression: str) -> list[str]:
    """Return the metrics that an expression reads."""
    return re.findall(r"\b(?:reelay[_:][\w:]+|process_\w+|up\b)", expression)


def test_metrics_pass_the_check_of_promtool(stack: Stack) -> None:
    view(stack)
    for target in ("/metrics", "/edge/metrics"):
        promtool("check", "metrics", text=ask(stack.operator, target).body.decode())


def test_all_rules_and_dashboards_have_data_and_a_healthy_stack_has_no_alert(
    stack: Stack, prometheus: Prometheus
) -> None:
    expressions = {rule["record"] for rule in rules("record")} | set(queries_of_dashboards())
    expressions |= {name for rule in rules("alert") for name in names(rule["expr"])}
    assert "up" in expressions

    def without_data() -> list[str]:
        stack.run("nginx", "empty-cache")  # so that blocks are fetched
        view(stack)
        return [each for each in sorted(expressions) if not prometheus.has_numbers(each)]

    until(lambda: not without_data(), "every expression has data", pause=1)
    groups = prometheus.get("rules")["groups"]
    loaded = [rule for group in groups for rule in group["rules"]]
    assert len(loaded) == len(rules("record")) + len(rules("alert"))
    assert {rule["health"] for rule in loaded} == {"ok"}
    until(lambda: not prometheus.alerts("pending", "firing"), "no alert is pending", pause=1)
    assert prometheus.query('count_over_time(ALERTS{alertstate="firing"}[1h])') == []
    exemplars = prometheus.get(
        "query_exemplars",
        query="reelay_time_to_first_byte_seconds_bucket",
        start=str(time.time() - 3600),
        end=str(time.time()),
    )
    assert all("request_id" in one["labels"] for each in exemplars for one in each["exemplars"])
    assert exemplars


def test_what_is_broken_on_purpose_raises_its_alert_and_is_on_the_page(
    stack: Stack, prometheus: Prometheus
) -> None:
    """Alerts are pending here until their time is over, which the cases of the rules test."""

    def raised() -> set[str]:
        return prometheus.alerts("pending", "firing")

    put_certificate(stack, 40 * HOUR)
    until(lambda: "ReelayCertificateExpires" in raised(), "its end is near", pause=1)
    put_certificate(stack, -HOUR)  # it is refused
    docker("kill", stack.containers("service")[0])
    docker("kill", stack.containers("swift-proxy")[0])
    # A minute after its start nginx removes files that it does not know, except those in `temp`.
    folder = "/var/cache/nginx/blocks/temp"
    fill = f"mkdir {folder} && head -c {DISK} /dev/zero >{folder}/other || true"
    stack.run("nginx", "sh", "-c", f"empty-cache; {fill}")
    expected = {
        "ReelayMemberGone",
        "ReelayStoreFailing",
        "ReelayErrors",
        "ReelayCertificateExpires",
        "ReelayCertificateRefused",
        "ReelayCacheDiskFull",
        "ReelayFilmsStall",
    }

    def not_on_the_page() -> list[str]:
        view(stack)  # so that the store is asked
        page = " ".join(ask(stack.operator, "/").body.decode().split())
        return [fault for fault in FAULTS_ON_THE_PAGE if not re.search(fault, page)]

    until(lambda: not not_on_the_page(), "the page shows all of them", pause=1)

    def missing() -> set[str]:
        view(stack, played=0, stalled=60)
        return expected - raised()

    until(lambda: not missing(), "all of them are raised", timeout=600, pause=1)
