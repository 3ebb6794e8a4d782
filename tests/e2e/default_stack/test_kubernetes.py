"""The images run as in the manifests: user, read-only root, volumes, variables, ports, probes.

Docker takes the place of the kubelet.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support.kubernetes_manifests import Manifest, environment, pods, rendered, size
from support.raw_http import ask
from support.server import until
from support.stack import Stack, container, docker

pytestmark = [pytest.mark.slow, pytest.mark.stack]


Overlays = dict[str, list[Manifest]]


@pytest.fixture(scope="module", params=["one-node", "edges"])
def manifests(request: pytest.FixtureRequest) -> Overlays:
    """Return the manifests for the service and for the edge.

    With several edges, one starts while the names of the others do not resolve yet.
    """
    return {"service": rendered("one-node"), "edge": rendered(request.param)}


def docker_options(manifests: list[Manifest], name: str) -> list[str]:
    """Return the options of `docker run` that correspond to a pod specification."""
    pod = pods(manifests)[name]
    context, (run,) = pod["securityContext"], pod["containers"]
    options = ["--user", f"{context['runAsUser']}:{context['runAsGroup']}", "--read-only",
            "--group-add", str(context["fsGroup"]), "--cap-drop", "ALL",
            "--security-opt", "no-new-privileges",
            "--memory", str(size(run["resources"]["limits"]["memory"]))]  # fmt: skip
    for variable, value in environment(manifests, name).items():
        options += ["--env", f"{variable}={value}"]
    for mount in run["volumeMounts"]:
        if not mount.get("readOnly"):
            # In a pod fsGroup permits writing; the engine keeps the mode of the image.
            options += ["--tmpfs", f"{mount['mountPath']}:uid={context['runAsUser']}"]
    for port in run["ports"]:
        protocol = port.get("protocol", "TCP").lower()
        options += ["--publish", f"127.0.0.1::{port['containerPort']}/{protocol}"]
    return options


def base(name: str, pod: Manifest, port: str) -> str:
    """Return the URL of a container's named port."""
    (number,) = [
        one["containerPort"] for one in pod["containers"][0]["ports"] if one["name"] == port
    ]
    return f"http://{docker('port', name, f'{number}/tcp').splitlines()[0]}"


@pytest.fixture(scope="module")
def running(stack: Stack, manifests: Overlays) -> Iterator[dict[str, str]]:
    """Run both on the network of a stack with their images; yield the names of the containers."""
    full_name = environment(manifests["edge"], "edge")["REELAY_SERVICE"].partition(":")[0]
    names: dict[str, str] = {}
    with ExitStack() as containers:
        for name, resources in manifests.items():
            more = {
                "service": ["--volume", f"{stack.media}:/media:ro", "--network-alias", full_name],
                "edge": [],
            }[name]
            image = f"{stack.project}-{ {'edge': 'nginx'}.get(name, name) }"
            names[name] = containers.enter_context(
                container(stack, *docker_options(resources, name), *more, image)
            )
        yield names


@pytest.mark.parametrize("name", ["service", "edge"])
def test_every_probe_succeeds(running: dict[str, str], manifests: Overlays, name: str) -> None:
    pod = pods(manifests[name])[name]
    for kind in ("startup", "liveness", "readiness"):
        get = pod["containers"][0][f"{kind}Probe"]["httpGet"]

        def answered(get: Manifest = get) -> bool | None:
            try:
                origin = base(running[name], pod, get["port"])
                return ask(origin, get["path"]).status == 200 or None
            except OSError:  # it is not listening yet
                return None

        until(answered, f"{name}: {kind}")


def test_the_edge_reaches_the_service_by_its_full_name(
    running: dict[str, str], manifests: Overlays
) -> None:
    edge = pods(manifests["edge"])["edge"]
    origin = base(running["edge"], edge, "https").replace("http:", "https:")
    until(lambda: ask(origin, "/api/videos").status == 200 or None, "the edge answers")

    def cache_status() -> str:
        answer = ask(origin, "/media/file.mp4", {"Range": "bytes=0-99"})
        assert answer.status == 206
        return str(answer.headers["X-Cache"])

    # Until the edge has asked the service who may read, it passes requests on.
    until(lambda: cache_status() == "MISS", "the edge knows who may read", pause=0.5)
    # It can write only to its own volumes, where it has created its certificate.
    assert docker("exec", running["edge"], "ls", "/etc/nginx/tls").split() == [
        "fullchain.pem", "made-by-the-edge", "privkey.pem",
    ]  # fmt: skip
