"""deploy/kubernetes: rendered by kubectl, valid, and held to the images and the settings."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from quart import Quart
from support.kubernetes_manifests import (
    MANIFESTS,
    OVERLAYS,
    Manifest,
    build,
    environment,
    of_kind,
    pods,
    rendered,
    size,
    workloads,
)
from support.npm import clean_environment, packages

from service.app import create_app
from service.settings import PREFIX, Settings, load, parse_size

ROOT = Path(__file__).parents[2]
NGINX = ROOT / "nginx"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
DOCKERFILES = {
    "service": (ROOT / "Dockerfile").read_text(encoding="utf-8"),
    "edge": (NGINX / "Dockerfile").read_text(encoding="utf-8"),
}
IN_COMPOSE = {"service": "service", "edge": "nginx"}

DOORS = ("", "load-balancer", "load-balancer certificate", "gateway", "ingress")
VARIANTS = [
    pytest.param(overlay, door, id=f"{overlay} {door}".strip())
    for overlay in OVERLAYS
    for door in DOORS
]
every_variant = pytest.mark.parametrize(("overlay", "door"), VARIANTS)
every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)

# The oldest has preStop.sleep, without which a stopping edge would refuse; the newest is the newest
# that kubernetes-validate knows.
OLDEST, NEWEST = "1.30", kubernetes_validate.latest_version()

# Kinds that kubernetes-validate does not know, being no part of Kubernetes: their definitions by
# cert-manager, the Gateway API and the Prometheus operator, as types of TypeScript, from npm.
EXTENSIONS = {
    "cert-manager.io/v1 Certificate": "cert-manager/cert-manager.io/v1/Certificate",
    "gateway.networking.k8s.io/v1 Gateway": "gateway-api/gateway.networking.k8s.io/v1/Gateway",
    "gateway.networking.k8s.io/v1 HTTPRoute": "gateway-api/gateway.networking.k8s.io/v1/HTTPRoute",
    "monitoring.coreos.com/v1 ServiceMonitor": (
        "prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor"
    ),
}


def exposed(name: str) -> set[int]:
    """Give the ports of an image."""
    line = re.search(r"^EXPOSE (.*)$", DOCKERFILES[name], re.MULTILINE)
    assert line
    return {int(port) for port in line[1].split()}


def matches(selector: Manifest, labels: dict[str, str]) -> bool:
    """Whether a selector by labels alone selects what has these."""
    assert set(selector) <= {"matchLabels"}
    wanted: dict[str, str] = selector.get("matchLabels", {})
    return wanted.items() <= labels.items()


def labels_of(manifests: list[Manifest]) -> dict[str, dict[str, str]]:
    return {
        name: workload["spec"]["template"]["metadata"]["labels"]
        for name, workload in workloads(manifests).items()
    }


def test_every_overlay_and_every_component_is_rendered_here() -> None:
    assert {folder.name for folder in (MANIFESTS / "overlays").iterdir()} == set(OVERLAYS)
    components = {name for door in DOORS for name in door.split()} | {"service-monitor"}
    assert {folder.name for folder in (MANIFESTS / "components").iterdir()} == components


def everything() -> list[Manifest]:
    """Give what is in any variant, once: most of it is the same in several of them."""
    found = {
        json.dumps(manifest, sort_keys=True): manifest
        for overlay in OVERLAYS
        for door in DOORS
        for manifest in rendered(overlay, door)
    }
    return list(found.values())


def named(manifest: Manifest) -> str:
    return f"{manifest['apiVersion']} {manifest['kind']}"


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_everything_of_kubernetes_is_valid(version: str) -> None:
    for manifest in everything():
        if named(manifest) not in EXTENSIONS:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_what_is_misspelt_would_be_found() -> None:
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {}}
    kubernetes_validate.validate(manifest, NEWEST, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError, match="clusterIp"):
        kubernetes_validate.validate(
            manifest | {"spec": {"clusterIp": "None"}}, NEWEST, strict=True
        )


def complaints(extensions: list[Manifest], folder: Path) -> str:
    """Say where manifests are not of the type that their kind has; unknown fields are not."""
    lines = []
    for number, manifest in enumerate(extensions):
        module, kind = EXTENSIONS[named(manifest)], manifest["kind"]
        lines += [
            f'import type {{ I{kind} as Type{number} }} from "@kubernetes-models/{module}";',
            f"export const manifest{number}: Type{number} = {json.dumps(manifest)};",
        ]
    (folder / "manifests.ts").write_text("\n".join(lines), encoding="utf-8")
    (folder / "node_modules").symlink_to(packages())
    done = subprocess.run(
        [
            *("node", packages() / "typescript" / "bin" / "tsc", "--noEmit", "--strict"),
            *("--skipLibCheck", "--module", "nodenext", "manifests.ts"),
        ],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert bool(done.stdout) == (done.returncode != 0), done
    return done.stdout


def extensions() -> dict[str, Manifest]:
    """Give one of each kind that is no part of Kubernetes."""
    return {named(one): one for one in everything() if named(one) in EXTENSIONS}


def test_what_is_no_part_of_kubernetes_is_as_it_is_defined(tmp_path: Path) -> None:
    assert extensions().keys() == EXTENSIONS.keys()
    used = [one for one in everything() if named(one) in EXTENSIONS]
    assert complaints(used, tmp_path) == ""


@pytest.mark.parametrize(
    ("kind", "spec", "found"),
    [
        ("cert-manager.io/v1 Certificate", {"dnsName": ["a"]}, '"dnsName"'),
        ("cert-manager.io/v1 Certificate", {"privateKey": {"algorithm": "DSA"}}, '"DSA"'),
        ("gateway.networking.k8s.io/v1 Gateway", {"listeners": [{"name": "a"}]}, "port"),
        (
            "gateway.networking.k8s.io/v1 HTTPRoute",
            {"rules": [{"backendRefs": [{"name": "a", "port": "http"}]}]},
            "'string' is not assignable to type 'number'",
        ),
        (
            "monitoring.coreos.com/v1 ServiceMonitor",
            {"endpoints": [{"port": "http", "route": "/metrics"}]},
            '"route"',
        ),
    ],
)
def test_what_is_not_as_it_is_defined_would_be_found(
    kind: str, spec: Manifest, found: str, tmp_path: Path
) -> None:
    one = extensions()[kind]
    assert found in complaints([one | {"spec": one["spec"] | spec}], tmp_path)


@every_variant
def test_everything_is_in_the_namespace_which_is_restricted(overlay: str, door: str) -> None:
    manifests = rendered(overlay, door)
    (namespace,) = of_kind(manifests, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for manifest in manifests:
        if manifest is not namespace:
            assert manifest["metadata"]["namespace"] == namespace["metadata"]["name"]


@every_overlay
def test_pods_may_do_nothing_that_restricted_pod_security_forbids(overlay: str) -> None:
    """Pod Security Standards, "Restricted"; and a read-only root, as in docker-compose.yml."""
    for name, pod in pods(rendered(overlay, "load-balancer certificate")).items():
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert "sysctls" not in pod["securityContext"]
        assert pod["containers"][0]["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not any("hostPort" in port for port in pod["containers"][0]["ports"])
        allowed = {"emptyDir", "persistentVolumeClaim", "secret"}
        assert all(volume.keys() & allowed for volume in pod["volumes"])
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        hardened = COMPOSE[IN_COMPOSE[name]]
        assert (hardened["read_only"], hardened["cap_drop"]) == (True, ["ALL"])


@every_overlay
def test_users_are_those_of_the_images(overlay: str) -> None:
    for name, pod in pods(rendered(overlay)).items():
        context = pod["securityContext"]
        assert f"\nUSER {context['runAsUser']}:{context['runAsGroup']}\n" in DOCKERFILES[name]
        assert context["fsGroup"] == context["runAsGroup"]  # its volumes are its own


@every_overlay
def test_ports_are_those_that_the_images_listen_on(overlay: str) -> None:
    for name, pod in pods(rendered(overlay)).items():
        ports = pod["containers"][0]["ports"]
        assert {port["containerPort"] for port in ports} <= exposed(name)
        udp = {port["containerPort"] for port in ports if port.get("protocol") == "UDP"}
        published = map(str, COMPOSE[IN_COMPOSE[name]].get("ports", []))
        assert udp == {
            int(port.rpartition(":")[2][:-4]) for port in published if port.endswith("/udp")
        }
    assert f" PORT={exposed('service').pop()} " in DOCKERFILES["service"].replace("\\\n", "")


@every_variant
def test_whoever_names_a_port_names_one_that_is_there(overlay: str, door: str) -> None:
    manifests = rendered(overlay, door)
    labels = labels_of(manifests)
    listening = {
        name: {port["name"]: port.get("protocol", "TCP") for port in pod["containers"][0]["ports"]}
        for name, pod in pods(manifests).items()
    }
    services = {service["metadata"]["name"]: service for service in of_kind(manifests, "Service")}
    for service in services.values():
        selector = service["spec"]["selector"]
        (target,) = [name for name, has in labels.items() if selector.items() <= has.items()]
        for port in service["spec"]["ports"]:
            assert listening[target][port["targetPort"]] == port.get("protocol", "TCP")
    for monitor in of_kind(manifests, "ServiceMonitor"):
        (watched,) = [
            service
            for service in services.values()
            if matches(monitor["spec"]["selector"], service["metadata"]["labels"])
        ]
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["port"] in {port["name"] for port in watched["spec"]["ports"]}
    behind: list[Any] = [
        backend["port"]
        for route in of_kind(manifests, "HTTPRoute")
        for rule in route["spec"]["rules"]
        for backend in rule["backendRefs"]
        if backend["name"] == "edge"
    ]
    behind += [
        path["backend"]["service"]["port"]["name"]
        for ingress in of_kind(manifests, "Ingress")
        for rule in ingress["spec"]["rules"]
        for path in rule["http"]["paths"]
        if path["backend"]["service"]["name"] == "edge"
    ]
    assert behind == {"gateway": [80], "ingress": ["http"]}.get(door, [])
    assert {"http": 80}.items() <= {
        port["name"]: port["port"] for port in services["edge"]["spec"]["ports"]
    }.items()


@pytest.fixture
def app(tmp_path: Path) -> Quart:
    return create_app(load({"REELAY_MEDIA": str(tmp_path), "REELAY_DERIVED": str(tmp_path / "d")}))


def test_probes_and_scrapes_ask_for_what_there_is(app: Quart) -> None:
    manifests = rendered("edges", "ingress")
    routes = {rule.rule for rule in app.url_map.iter_rules()}
    template = (NGINX / "templates" / "edge.conf.template").read_text(encoding="utf-8")
    operators = template.partition("listen 9145;")[2]
    there = {
        "service": {("http", route) for route in routes},
        "edge": {("operators", path) for path in re.findall(r"location = (/edge/\w+) ", operators)},
    }
    for name, pod in pods(manifests).items():
        container = pod["containers"][0]
        probes = {kind: container[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")}
        asked = {kind: probe["httpGet"] for kind, probe in probes.items()}
        assert all((get["port"], get["path"]) in there[name] for get in asked.values())
        # A service that is not ready is alive all the same; and without it, so is the edge.
        alive = {"service": "/healthz", "edge": "/edge/healthz"}[name]
        assert asked["startup"]["path"] == asked["liveness"]["path"] == alive
        image = re.search(r"--timeout=(\d+)s", DOCKERFILES[name])
        assert image
        assert {probe["timeoutSeconds"] for probe in probes.values()} == {int(image[1])}
    assert pods(manifests)["service"]["containers"][0]["readinessProbe"]["httpGet"] == {
        "path": "/readyz",
        "port": "http",
    }
    for monitor in of_kind(manifests, "ServiceMonitor"):
        (endpoint,) = monitor["spec"]["endpoints"]
        assert (endpoint["port"], endpoint["path"]) in there[monitor["metadata"]["name"]]


@every_variant
def test_every_variable_is_a_setting_of_whoever_gets_it(overlay: str, door: str) -> None:
    manifests = rendered(overlay, door)
    ours = {PREFIX + name.upper() for name in Settings.model_fields}
    cloud = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"}
    assert environment(manifests, "service").keys() <= ours | cloud
    scripts = (NGINX / "docker-entrypoint.d").iterdir()
    read = {
        name
        for script in scripts
        for name in re.findall(r"\bREELAY_[A-Z_]+", script.read_text(encoding="utf-8"))
    }
    given = environment(manifests, "edge").keys()
    assert given - read == {"NAMESPACE"} | ({"NAME"} if overlay == "edges" else set())
    block = f"{PREFIX}MAX_PARTIAL_SIZE"
    assert environment(manifests, "edge")[block] == environment(manifests, "service")[block]


@every_variant
def test_the_settings_are_such_that_both_start(overlay: str, door: str, tmp_path: Path) -> None:
    manifests = rendered(overlay, door)
    given = environment(manifests, "service")
    assert given.get("REELAY_MEDIA", "s3://").startswith("s3://")
    assert given.get("REELAY_DERIVED", "s3://").startswith("s3://")
    load(given | {"REELAY_MEDIA": str(tmp_path), "REELAY_DERIVED": str(tmp_path)})
    script = NGINX / "docker-entrypoint.d" / "10-settings.envsh"
    subprocess.run(
        ["sh", "-euc", f'. "{script}"'],
        env={"PATH": os.environ["PATH"]} | environment(manifests, "edge"),
        check=True,
    )


@every_overlay
def test_mounts_are_where_the_images_have_what_is_not_theirs(overlay: str) -> None:
    manifests = rendered(overlay)
    image = dict(re.findall(r"\b(REELAY_(?:MEDIA|DERIVED))=(\S+)", DOCKERFILES["service"]))
    for name, pod in pods(manifests).items():
        container = pod["containers"][0]
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        claims = workloads(manifests)[name]["spec"].get("volumeClaimTemplates", [])
        volumes = [volume["name"] for volume in pod["volumes"]]
        volumes += [claim["metadata"]["name"] for claim in claims]
        assert sorted(mount["name"] for mount in mounts.values()) == sorted(volumes)
        compose = COMPOSE[IN_COMPOSE[name]]
        targets = [volume.split("}")[-1].removesuffix(":ro") for volume in compose["volumes"]]
        wanted = {target.rpartition(":")[2] for target in targets}
        wanted |= {place.partition(":")[0] for place in compose["tmpfs"]}
        if name == "service":
            assert set(image.values()) < wanted
            if overlay != "one-node":  # the films are in the store
                wanted -= {image["REELAY_MEDIA"]}
        else:
            wanted -= {"/srv/challenges"}  # certbot's; here cert-manager answers
        assert set(mounts) == wanted
        for volume in pod["volumes"]:  # whose own it makes the fsGroup's
            claim = volume.get("persistentVolumeClaim", {})
            assert claim.get("readOnly", False) == (volume["name"] == "media")
        readonly = {path for path, mount in mounts.items() if mount.get("readOnly")}
        assert readonly == ({"/media"} & wanted if name == "service" else set())


@every_overlay
def test_a_stop_is_given_the_time_that_it_takes(overlay: str) -> None:
    manifests = rendered(overlay)
    pod = pods(manifests)
    settings = environment(manifests, "service")
    delay, timeout = (float(settings[f"{PREFIX}DRAIN_{word}"]) for word in ("DELAY", "TIMEOUT"))
    # Of a replica that stops, CoreDNS tells for 5 seconds more, and edges remember it for two.
    assert 5 + 2 < delay < timeout
    assert timeout + delay < pod["service"]["terminationGracePeriodSeconds"]
    sleep = pod["edge"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    left = pod["edge"]["terminationGracePeriodSeconds"] - sleep
    assert left >= int(COMPOSE["nginx"]["stop_grace_period"].removesuffix("s"))
    assert "\nSTOPSIGNAL SIGQUIT\n" in DOCKERFILES["edge"]  # nginx's graceful one


@every_overlay
def test_memory_is_limited_as_in_compose_and_room_is_more_than_what_is_kept(overlay: str) -> None:
    manifests = rendered(overlay)
    for name, pod in pods(manifests).items():
        resources = pod["containers"][0]["resources"]
        limit = parse_size(f"{COMPOSE[IN_COMPOSE[name]]['mem_limit'].removesuffix('g')}GiB")
        assert size(resources["limits"]["memory"]) == limit
        assert size(resources["requests"]["memory"]) <= limit
        assert "cpu" in resources["requests"]
        assert "cpu" not in resources["limits"]
    claims = {
        claim["metadata"]["name"]: claim["spec"]["resources"]["requests"]["storage"]
        for claim in of_kind(manifests, "PersistentVolumeClaim")
    }
    for workload in workloads(manifests).values():
        for claim in workload["spec"].get("volumeClaimTemplates", []):
            claims[claim["metadata"]["name"]] = claim["spec"]["resources"]["requests"]["storage"]
    room = dict(claims)
    for pod in pods(manifests).values():
        for volume in pod["volumes"]:
            if "emptyDir" in volume:
                room[volume["name"]] = volume["emptyDir"]["sizeLimit"]
    kept = parse_size(environment(manifests, "service")[f"{PREFIX}DERIVED_SIZE"])
    assert size(room["derived"]) > kept
    cached = parse_size(environment(manifests, "edge")[f"{PREFIX}CACHE_SIZE"])
    # nginx leaves a gigabyte free, and makes room every ten seconds: a pod whose emptyDir has
    # outgrown its limit would be evicted, where a full volume is merely full.
    assert size(room["cache"]) >= cached + (2**30 if "cache" in claims else 10 * 2**30)


@every_variant
def test_only_the_edge_and_monitoring_may_speak_to_the_service(overlay: str, door: str) -> None:
    manifests = rendered(overlay, door)
    labels = labels_of(manifests)
    policies = of_kind(manifests, "NetworkPolicy")
    for name, has in labels.items():
        directions = {
            direction
            for policy in policies
            if matches(policy["spec"]["podSelector"], has)
            for direction in policy["spec"]["policyTypes"]
        }
        assert directions == {"Ingress", "Egress"}, name  # what no policy allows is forbidden
    monitoring = {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}
    edge = {"matchLabels": labels["edge"]}
    scraped = [("namespaceSelector", monitoring)] if door else []
    assert sorted(map(str, allowed(policies, labels["service"], 8000))) == sorted(
        map(str, [("podSelector", edge), *scraped])
    )
    assert allowed(policies, labels["edge"], 9145) == scraped
    assert allowed(policies, labels["edge"], 8080) == [("everybody", {})]
    if overlay == "edges":
        assert allowed(policies, labels["edge"], 9146) == [("podSelector", edge)]


def allowed(
    policies: list[Manifest], labels: dict[str, str], port: int
) -> list[tuple[str, Manifest]]:
    """Give who may speak to a port of a pod."""
    found: list[tuple[str, Manifest]] = []
    for policy in policies:
        if matches(policy["spec"]["podSelector"], labels):
            for rule in policy["spec"].get("ingress", []):
                assert rule["ports"]  # or it would open them all
                if port in {one["port"] for one in rule["ports"]}:
                    sources = rule.get("from", [{"everybody": {}}])
                    found += [item for source in sources for item in source.items()]
    return found


def selectors(node: Any) -> Iterator[Manifest]:
    """Give every selector of pods in a manifest, however deep."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in {"podSelector", "labelSelector"}:
                yield value
            else:
                yield from selectors(value)
    elif isinstance(node, list):
        for item in node:
            yield from selectors(item)


@every_variant
def test_whatever_selects_pods_selects_some(overlay: str, door: str) -> None:
    manifests = rendered(overlay, door)
    labels = labels_of(manifests)
    for manifest in manifests:
        for selector in selectors(manifest):
            assert any(matches(selector, has) for has in labels.values()), manifest["metadata"]
    for budget in of_kind(manifests, "PodDisruptionBudget"):
        assert matches(budget["spec"]["selector"], labels[budget["metadata"]["name"]])
    for scaler in of_kind(manifests, "HorizontalPodAutoscaler"):
        target = workloads(manifests)[scaler["spec"]["scaleTargetRef"]["name"]]
        assert target["kind"] == scaler["spec"]["scaleTargetRef"]["kind"]
        assert "replicas" not in target["spec"]  # or each `kubectl apply` would undo its work


@every_overlay
def test_the_edge_asks_the_service_by_its_whole_name(overlay: str) -> None:
    manifests = rendered(overlay)
    (service,) = [
        one for one in of_kind(manifests, "Service") if one["metadata"]["name"] == "service"
    ]
    assert service["spec"]["clusterIP"] == "None"  # each replica has an address of its own
    (port,) = service["spec"]["ports"]
    assert environment(manifests, "edge")["REELAY_SERVICE"] == (
        f"service.reelay.svc.cluster.local:{port['port']}"
    )


def test_each_of_several_edges_is_one_of_those_that_all_know() -> None:
    manifests = rendered("edges")
    edge = workloads(manifests)["edge"]
    domain = f"{edge['spec']['serviceName']}.reelay.svc.cluster.local"
    names = [f"edge-{number}.{domain}" for number in range(edge["spec"]["replicas"])]
    given = environment(manifests, "edge")
    assert given["REELAY_EDGES"].replace(",", " ").split() == names
    assert given["REELAY_EDGE_NAME"] == names[0]
    (named,) = [one for one in of_kind(manifests, "Service") if one["metadata"]["name"] == "edges"]
    assert (named["spec"]["clusterIP"], named["spec"]["selector"]) == (
        "None",
        labels_of(manifests)["edge"],
    )
    (port,) = named["spec"]["ports"]
    snippet = (NGINX / "snippets" / "multiple-edges.conf").read_text(encoding="utf-8")
    assert f"listen {port['port']}" in snippet
    # Each keeps its blocks through a restart.
    (claim,) = edge["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "cache"


def test_the_certificate_is_where_nginx_reads_it() -> None:
    manifests = rendered("edges", "load-balancer certificate")
    (certificate,) = of_kind(manifests, "Certificate")
    (volume,) = [one for one in pods(manifests)["edge"]["volumes"] if one["name"] == "tls"]
    assert volume["secret"]["secretName"] == certificate["spec"]["secretName"]
    files = {item["path"] for item in volume["secret"]["items"]}
    (mount,) = [
        one
        for one in pods(manifests)["edge"]["containers"][0]["volumeMounts"]
        if one["name"] == "tls"
    ]
    tls = (NGINX / "snippets" / "tls.conf").read_text(encoding="utf-8")
    read = re.findall(r"^ssl_certificate(?:_key)? (.*);$", tls, re.MULTILINE)
    assert {f"{mount['mountPath']}/{file}" for file in files} == set(read)


def test_no_secret_is_in_a_manifest() -> None:
    for overlay in OVERLAYS:
        manifests = rendered(overlay)
        assert not of_kind(manifests, "Secret")
        for name in ("service", "edge"):
            given = environment(manifests, name)
            assert all(value == "secret" for key, value in given.items() if "KEY" in key)


def test_what_is_to_be_written_as_told_is_rendered() -> None:
    manual = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    (kustomization,) = re.findall(r"```yaml\n(.*?)```", manual, re.DOTALL)
    manifests = build(kustomization.replace("namespace: reelay", "namespace: films"))
    assert {pod["containers"][0]["image"] for pod in pods(manifests).values()} == {
        "registry.example/reelay:0.1.0",
        "registry.example/reelay-edge:0.1.0",
    }
    assert environment(manifests, "service")["REELAY_SEARCH_ENGINES"] == "on"
    assert environment(manifests, "service")["REELAY_DRAIN_TIMEOUT"] == "40"
    (certificate,) = of_kind(manifests, "Certificate")
    assert certificate["spec"]["dnsNames"] == ["films.example.org"]
    places = {manifest["metadata"].get("namespace") for manifest in manifests}
    assert places == {"films", None}
    assert [one["metadata"]["name"] for one in of_kind(manifests, "Namespace")] == ["films"]
