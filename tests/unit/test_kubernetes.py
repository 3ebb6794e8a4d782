"""deploy/kubernetes: rendered by kubectl, valid, and consistent with images and settings."""

import json
import os
import re
import runpy
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
    MONITORING,
    OVERLAYS,
    SECRET,
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
from support.prometheus import DASHBOARDS, RULES

from service.composition.app import create_app
from service.settings.environment import PREFIX, Settings, load
from service.settings.values import parse_size

ROOT = Path(__file__).parents[2]
NGINX = ROOT / "nginx"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
DOCKERFILES = {
    "service": (ROOT / "Dockerfile").read_text(encoding="utf-8"),
    "edge": (NGINX / "Dockerfile").read_text(encoding="utf-8"),
}
IN_COMPOSE = {"service": "service", "edge": "nginx"}

EXPOSURES = ("", "load-balancer", "load-balancer certificate", "gateway", "ingress")
VARIANTS = [
    pytest.param(overlay, exposure, id=f"{overlay} {exposure}".strip())
    for overlay in OVERLAYS
    for exposure in EXPOSURES
]
every_variant = pytest.mark.parametrize(("overlay", "exposure"), VARIANTS)
every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)

# The oldest version with preStop.sleep, without which a stopping edge would refuse connections; the
# newest version that kubernetes-validate knows.
OLDEST, NEWEST = "1.30", kubernetes_validate.latest_version()

# Custom resources, which kubernetes-validate does not know: their definitions by cert-manager, the
# Gateway API and the Prometheus operator, as TypeScript types from npm.
EXTENSIONS = {
    "cert-manager.io/v1 Certificate": "cert-manager/cert-manager.io/v1/Certificate",
    "gateway.networking.k8s.io/v1 Gateway": "gateway-api/gateway.networking.k8s.io/v1/Gateway",
    "gateway.networking.k8s.io/v1 HTTPRoute": "gateway-api/gateway.networking.k8s.io/v1/HTTPRoute",
    "monitoring.coreos.com/v1 PrometheusRule": (
        "prometheus-operator/monitoring.coreos.com/v1/PrometheusRule"
    ),
    "monitoring.coreos.com/v1 ServiceMonitor": (
        "prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor"
    ),
}


def exposed_ports(name: str) -> set[int]:
    """Return the ports that an image exposes."""
    line = re.search(r"^EXPOSE (.*)$", DOCKERFILES[name], re.MULTILINE)
    assert line
    return {int(port) for port in line[1].split()}


def matches(selector: Manifest, labels: dict[str, str]) -> bool:
    """Return whether a selector that has only labels selects an object with these labels."""
    assert set(selector) <= {"matchLabels"}
    required: dict[str, str] = selector.get("matchLabels", {})
    return required.items() <= labels.items()


def labels_of(manifests: list[Manifest]) -> dict[str, dict[str, str]]:
    return {
        name: workload["spec"]["template"]["metadata"]["labels"]
        for name, workload in workloads(manifests).items()
    }


def test_every_overlay_and_component_is_rendered() -> None:
    assert {folder.name for folder in (MANIFESTS / "overlays").iterdir()} == set(OVERLAYS)
    components = {name for exposure in EXPOSURES for name in exposure.split()} | {*MONITORING}
    assert {folder.name for folder in (MANIFESTS / "components").iterdir()} == components


def all_manifests() -> list[Manifest]:
    """Return the manifests of all variants without duplicates."""
    unique = {
        json.dumps(manifest, sort_keys=True): manifest
        for overlay in OVERLAYS
        for exposure in EXPOSURES
        for manifest in rendered(overlay, exposure)
    }
    return list(unique.values())


def type_name(manifest: Manifest) -> str:
    return f"{manifest['apiVersion']} {manifest['kind']}"


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_every_kubernetes_manifest_is_valid(version: str) -> None:
    for manifest in all_manifests():
        if type_name(manifest) not in EXTENSIONS:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_the_validator_detects_a_misspelt_field() -> None:
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {}}
    kubernetes_validate.validate(manifest, NEWEST, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError, match="clusterIp"):
        kubernetes_validate.validate(
            manifest | {"spec": {"clusterIp": "None"}}, NEWEST, strict=True
        )


def type_errors(manifests: list[Manifest], folder: Path) -> str:
    """Return the compiler's errors for manifests that do not match the type of their kind."""
    lines = []
    for number, manifest in enumerate(manifests):
        module, kind = EXTENSIONS[type_name(manifest)], manifest["kind"]
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


def custom_resources() -> dict[str, Manifest]:
    """Return one manifest of each custom resource."""
    return {
        type_name(manifest): manifest
        for manifest in all_manifests()
        if type_name(manifest) in EXTENSIONS
    }


def test_custom_resources_match_their_definitions(tmp_path: Path) -> None:
    assert custom_resources().keys() == EXTENSIONS.keys()
    used = [manifest for manifest in all_manifests() if type_name(manifest) in EXTENSIONS]
    assert type_errors(used, tmp_path) == ""


@pytest.mark.parametrize(
    ("kind", "spec", "error"),
    [
        ("cert-manager.io/v1 Certificate", {"dnsName": ["a"]}, '"dnsName"'),
        ("cert-manager.io/v1 Certificate", {"privateKey": {"algorithm": "DSA"}}, '"DSA"'),
        ("gateway.networking.k8s.io/v1 Gateway", {"listeners": [{"name": "a"}]}, "port"),
        (
            "gateway.networking.k8s.io/v1 HTTPRoute",
            {"rules": [{"backendRefs": [{"name": "a", "port": "http"}]}]},
            "'string' is not assignable to type 'number'",
        ),
        ("monitoring.coreos.com/v1 PrometheusRule", {"groups": [{"rules": []}]}, "name"),
        (
            "monitoring.coreos.com/v1 ServiceMonitor",
            {"endpoints": [{"port": "http", "route": "/metrics"}]},
            '"route"',
        ),
    ],
)
def test_the_compiler_detects_an_invalid_custom_resource(
    kind: str, spec: Manifest, error: str, tmp_path: Path
) -> None:
    manifest = custom_resources()[kind]
    assert error in type_errors([manifest | {"spec": manifest["spec"] | spec}], tmp_path)


@every_variant
def test_every_manifest_is_in_the_restricted_namespace(overlay: str, exposure: str) -> None:
    manifests = rendered(overlay, exposure)
    (namespace,) = of_kind(manifests, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for manifest in manifests:
        if manifest is not namespace:
            assert manifest["metadata"]["namespace"] == namespace["metadata"]["name"]


@every_overlay
def test_pods_meet_the_restricted_pod_security_standard(overlay: str) -> None:
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
def test_pods_run_as_the_users_of_the_images(overlay: str) -> None:
    for name, pod in pods(rendered(overlay)).items():
        context = pod["securityContext"]
        assert f"\nUSER {context['runAsUser']}:{context['runAsGroup']}\n" in DOCKERFILES[name]
        assert context["fsGroup"] == context["runAsGroup"]  # the user owns its volumes


@every_overlay
def test_pod_ports_are_the_ports_of_the_images(overlay: str) -> None:
    for name, pod in pods(rendered(overlay)).items():
        ports = pod["containers"][0]["ports"]
        assert {port["containerPort"] for port in ports} <= exposed_ports(name)
        udp = {port["containerPort"] for port in ports if port.get("protocol") == "UDP"}
        published = map(str, COMPOSE[IN_COMPOSE[name]].get("ports", []))
        assert udp == {
            int(port.rpartition(":")[2][:-4]) for port in published if port.endswith("/udp")
        }
    assert f" PORT={exposed_ports('service').pop()} " in DOCKERFILES["service"].replace("\\\n", "")


@every_variant
def test_every_referenced_port_exists(overlay: str, exposure: str) -> None:
    manifests = rendered(overlay, exposure)
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
    assert behind == {"gateway": [80], "ingress": ["http"]}.get(exposure, [])
    assert {"http": 80}.items() <= {
        port["name"]: port["port"] for port in services["edge"]["spec"]["ports"]
    }.items()


@pytest.fixture
def app(tmp_path: Path) -> Quart:
    return create_app(load({"REELAY_MEDIA": str(tmp_path), "REELAY_DERIVED": str(tmp_path / "d")}))


def test_probes_and_scrapes_request_existing_routes(app: Quart) -> None:
    manifests = rendered("edges", "ingress")
    routes = {rule.rule for rule in app.url_map.iter_rules()}
    template = (NGINX / "templates" / "edge.conf.template").read_text(encoding="utf-8")
    operators = template.partition("listen 9145;")[2]
    available = {
        "service": {("http", route) for route in routes},
        "edge": {("operators", path) for path in re.findall(r"location = (/edge/\w+) ", operators)},
    }
    for name, pod in pods(manifests).items():
        container = pod["containers"][0]
        probes = {kind: container[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")}
        requests = {kind: probe["httpGet"] for kind, probe in probes.items()}
        assert all((get["port"], get["path"]) in available[name] for get in requests.values())
        # A service that is not ready is still alive, and so is an edge without a service.
        alive = {"service": "/healthz", "edge": "/edge/healthz"}[name]
        assert requests["startup"]["path"] == requests["liveness"]["path"] == alive
        # Docker starts a program that asks, which takes a while on a busy machine; Kubernetes asks.
        image = re.search(r"--timeout=(\d+)s", DOCKERFILES[name])
        assert image
        assert {probe["timeoutSeconds"] for probe in probes.values()} == {int(image[1]) - 10}
    assert pods(manifests)["service"]["containers"][0]["readinessProbe"]["httpGet"] == {
        "path": "/readyz",
        "port": "http",
    }
    for monitor in of_kind(manifests, "ServiceMonitor"):
        (endpoint,) = monitor["spec"]["endpoints"]
        assert (endpoint["port"], endpoint["path"]) in available[monitor["metadata"]["name"]]


@every_variant
def test_every_variable_is_a_setting_of_its_container(overlay: str, exposure: str) -> None:
    manifests = rendered(overlay, exposure)
    settings = {PREFIX + name.upper() for name in Settings.model_fields}
    cloud = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL"}
    assert environment(manifests, "service").keys() <= settings | cloud
    scripts = (NGINX / "docker-entrypoint.d").iterdir()
    read = {
        name
        for script in scripts
        for name in re.findall(r"\bREELAY_[A-Z_]+", script.read_text(encoding="utf-8"))
    }
    variables = environment(manifests, "edge").keys()
    assert variables - read == {"NAMESPACE"} | ({"NAME"} if overlay == "edges" else set())
    block = f"{PREFIX}MAX_PARTIAL_SIZE"
    assert environment(manifests, "edge")[block] == environment(manifests, "service")[block]


@every_variant
def test_service_and_edge_accept_their_settings(
    overlay: str, exposure: str, tmp_path: Path
) -> None:
    manifests = rendered(overlay, exposure)
    variables = environment(manifests, "service")
    assert variables.get("REELAY_MEDIA", "s3://").startswith("s3://")
    assert variables.get("REELAY_DERIVED", "s3://").startswith("s3://")
    load(variables | {"REELAY_MEDIA": str(tmp_path), "REELAY_DERIVED": str(tmp_path)})
    script = NGINX / "docker-entrypoint.d" / "10-settings.envsh"
    subprocess.run(
        ["sh", "-euc", f'. "{script}"'],
        env={"PATH": os.environ["PATH"]} | environment(manifests, "edge"),
        check=True,
    )


@every_overlay
def test_mounts_are_the_same_as_in_compose(overlay: str) -> None:
    manifests = rendered(overlay)
    image = dict(re.findall(r"\b(REELAY_(?:MEDIA|DERIVED|STATE))=(\S+)", DOCKERFILES["service"]))
    for name, pod in pods(manifests).items():
        container = pod["containers"][0]
        mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        claims = workloads(manifests)[name]["spec"].get("volumeClaimTemplates", [])
        volumes = [volume["name"] for volume in pod["volumes"]]
        volumes += [claim["metadata"]["name"] for claim in claims]
        assert sorted(mount["name"] for mount in mounts.values()) == sorted(volumes)
        compose = COMPOSE[IN_COMPOSE[name]]
        binds = [volume for volume in compose["volumes"] if isinstance(volume, str)]
        targets = [volume.split("}")[-1].removesuffix(":ro") for volume in binds]
        expected = {target.rpartition(":")[2] for target in targets}
        expected |= {volume["target"] for volume in compose["volumes"] if volume not in binds}
        expected |= {tmpfs.partition(":")[0] for tmpfs in compose["tmpfs"]}
        if name == "service":
            assert set(image.values()) < expected
            if overlay != "one-node":  # the films are in the object store
                expected -= {image["REELAY_MEDIA"]}
        else:
            # For certbot: here cert-manager answers the challenges. The key is in a Secret.
            expected -= {"/srv/challenges", "/var/lib/reelay"}
        assert set(mounts) == expected
        for volume in pod["volumes"]:
            claim = volume.get("persistentVolumeClaim", {})
            assert claim.get("readOnly", False) == (volume["name"] == "media")
        readonly = {path for path, mount in mounts.items() if mount.get("readOnly")}
        assert readonly == ({"/media"} & expected if name == "service" else set())


@every_overlay
def test_the_grace_periods_cover_a_graceful_stop(overlay: str) -> None:
    manifests = rendered(overlay)
    pod = pods(manifests)
    settings = environment(manifests, "service")
    delay, timeout = (float(settings[f"{PREFIX}DRAIN_{word}"]) for word in ("DELAY", "TIMEOUT"))
    # CoreDNS lists a stopping replica for 5 more seconds, and edges cache that for two.
    assert 5 + 2 < delay < timeout
    assert timeout + delay < pod["service"]["terminationGracePeriodSeconds"]
    sleep = pod["edge"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    remaining = pod["edge"]["terminationGracePeriodSeconds"] - sleep
    assert remaining >= int(COMPOSE["nginx"]["stop_grace_period"].removesuffix("s"))
    assert "\nSTOPSIGNAL SIGQUIT\n" in DOCKERFILES["edge"]  # stops nginx gracefully


@every_overlay
def test_memory_limits_are_those_of_compose_and_volumes_exceed_the_caches(overlay: str) -> None:
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
    capacity = dict(claims)
    for pod in pods(manifests).values():
        for volume in pod["volumes"]:
            if "emptyDir" in volume:
                capacity[volume["name"]] = volume["emptyDir"]["sizeLimit"]
    quota = parse_size(environment(manifests, "service")[f"{PREFIX}DERIVED_SIZE"])
    assert size(capacity["derived"]) > quota
    cache_size = parse_size(environment(manifests, "edge")[f"{PREFIX}CACHE_SIZE"])
    # nginx keeps a gigabyte free and evicts every ten seconds. A pod whose emptyDir exceeds its
    # limit is evicted; a full volume is only full.
    assert size(capacity["cache"]) >= cache_size + (2**30 if "cache" in claims else 10 * 2**30)


@every_variant
def test_only_the_edge_replicas_and_monitoring_may_connect_to_the_service(
    overlay: str, exposure: str
) -> None:
    manifests = rendered(overlay, exposure)
    labels = labels_of(manifests)
    policies = of_kind(manifests, "NetworkPolicy")
    for name, has in labels.items():
        directions = {
            direction
            for policy in policies
            if matches(policy["spec"]["podSelector"], has)
            for direction in policy["spec"]["policyTypes"]
        }
        # Without an allowing policy, traffic is denied.
        assert directions == {"Ingress", "Egress"}, name
    monitoring = {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}
    edge, service = ({"matchLabels": labels[name]} for name in ("edge", "service"))
    scraped = [("namespaceSelector", monitoring)] if exposure else []
    replicas = ("podSelector", service)  # for the operators' page
    assert sorted(map(str, allowed(policies, labels["service"], 8000))) == sorted(
        map(str, [("podSelector", edge), replicas, *scraped])
    )
    assert sorted(map(str, allowed(policies, labels["edge"], 9145))) == sorted(
        map(str, [replicas, *scraped])
    )
    assert allowed(policies, labels["edge"], 8080) == [("everybody", {})]
    if overlay == "edges":
        assert allowed(policies, labels["edge"], 9146) == [("podSelector", edge)]


def allowed(
    policies: list[Manifest], labels: dict[str, str], port: int
) -> list[tuple[str, Manifest]]:
    """Return the sources that may connect to a port of a pod."""
    result: list[tuple[str, Manifest]] = []
    for policy in policies:
        if matches(policy["spec"]["podSelector"], labels):
            for rule in policy["spec"].get("ingress", []):
                assert rule["ports"]  # a rule without ports opens all
                if port in {rule_port["port"] for rule_port in rule["ports"]}:
                    sources = rule.get("from", [{"everybody": {}}])
                    result += [item for source in sources for item in source.items()]
    return result


def selectors(node: Any) -> Iterator[Manifest]:
    """Yield every pod selector of a manifest at any depth."""
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
def test_every_pod_selector_selects_a_pod(overlay: str, exposure: str) -> None:
    manifests = rendered(overlay, exposure)
    labels = labels_of(manifests)
    for manifest in manifests:
        for selector in selectors(manifest):
            assert any(matches(selector, has) for has in labels.values()), manifest["metadata"]
    for budget in of_kind(manifests, "PodDisruptionBudget"):
        assert matches(budget["spec"]["selector"], labels[budget["metadata"]["name"]])
    for scaler in of_kind(manifests, "HorizontalPodAutoscaler"):
        target = workloads(manifests)[scaler["spec"]["scaleTargetRef"]["name"]]
        assert target["kind"] == scaler["spec"]["scaleTargetRef"]["kind"]
        # Otherwise each `kubectl apply` would reset the autoscaler.
        assert "replicas" not in target["spec"]


@every_overlay
def test_the_edge_uses_the_fully_qualified_name_of_the_service(overlay: str) -> None:
    manifests = rendered(overlay)
    (service,) = [
        manifest
        for manifest in of_kind(manifests, "Service")
        if manifest["metadata"]["name"] == "service"
    ]
    # The name resolves to the address of each replica.
    assert service["spec"]["clusterIP"] == "None"
    (port,) = service["spec"]["ports"]
    assert environment(manifests, "edge")["REELAY_SERVICE"] == (
        f"service.reelay.svc.cluster.local:{port['port']}"
    )


def test_each_edge_is_in_the_list_of_edges() -> None:
    manifests = rendered("edges")
    edge = workloads(manifests)["edge"]
    domain = f"{edge['spec']['serviceName']}.reelay.svc.cluster.local"
    names = [f"edge-{number}.{domain}" for number in range(edge["spec"]["replicas"])]
    variables = environment(manifests, "edge")
    assert variables["REELAY_EDGES"].replace(",", " ").split() == names
    assert variables["REELAY_EDGE_NAME"] == names[0]
    (service,) = [
        manifest
        for manifest in of_kind(manifests, "Service")
        if manifest["metadata"]["name"] == "edges"
    ]
    assert (service["spec"]["clusterIP"], service["spec"]["selector"]) == (
        "None",
        labels_of(manifests)["edge"],
    )
    (port,) = service["spec"]["ports"]
    snippet = (NGINX / "snippets" / "multiple-edges.conf").read_text(encoding="utf-8")
    assert f"listen {port['port']}" in snippet
    # Each edge keeps its cached blocks across a restart.
    (claim,) = edge["spec"]["volumeClaimTemplates"]
    assert claim["metadata"]["name"] == "cache"


def test_the_certificate_is_mounted_where_nginx_reads_it() -> None:
    manifests = rendered("edges", "load-balancer certificate")
    (certificate,) = of_kind(manifests, "Certificate")
    (volume,) = [
        candidate for candidate in pods(manifests)["edge"]["volumes"] if candidate["name"] == "tls"
    ]
    assert volume["secret"]["secretName"] == certificate["spec"]["secretName"]
    files = {item["path"] for item in volume["secret"]["items"]}
    (mount,) = [
        candidate
        for candidate in pods(manifests)["edge"]["containers"][0]["volumeMounts"]
        if candidate["name"] == "tls"
    ]
    tls = (NGINX / "snippets" / "tls.conf").read_text(encoding="utf-8")
    read = re.findall(r"^ssl_certificate(?:_key)? (.*);$", tls, re.MULTILINE)
    assert {f"{mount['mountPath']}/{file}" for file in files} == set(read)


def test_the_alerts_and_dashboards_are_those_of_compose() -> None:
    """If this fails after a change of them, run deploy/monitoring/manifests.py."""
    path = ROOT / "deploy" / "monitoring" / "manifests.py"
    for file, text in runpy.run_path(str(path))["manifests"]().items():
        assert file.read_text(encoding="utf-8") == text, file
    manifests = rendered("edges", "load-balancer")
    (rule,) = of_kind(manifests, "PrometheusRule")
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    assert rule["spec"]["groups"] == [one for one in groups if one["name"] != "reelay-discovery"]
    (dashboards,) = [one for one in manifests if one["metadata"]["name"] == "dashboards"]
    assert dashboards["data"] == {file.name: file.read_text("utf-8") for file in DASHBOARDS}
    monitors = {one["metadata"]["name"]: one for one in of_kind(manifests, "ServiceMonitor")}
    for name, monitor in monitors.items():
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": f"reelay-{name}"}]


def test_no_secret_is_in_a_manifest() -> None:
    for overlay in OVERLAYS:
        manifests = rendered(overlay)
        assert not of_kind(manifests, "Secret")
        for name in ("service", "edge"):
            variables = environment(manifests, name)
            assert all(value == SECRET for key, value in variables.items() if "KEY" in key)


def test_the_kustomization_of_the_manual_is_rendered() -> None:
    manual = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    kustomization, _ = re.findall(r"```yaml\n(.*?)```", manual, re.DOTALL)
    manifests = build(kustomization.replace("namespace: reelay", "namespace: films"))
    assert {pod["containers"][0]["image"] for pod in pods(manifests).values()} == {
        "registry.example/reelay:0.1.0",
        "registry.example/reelay-edge:0.1.0",
    }
    assert environment(manifests, "service")["REELAY_SEARCH_ENGINES"] == "on"
    assert environment(manifests, "service")["REELAY_DRAIN_TIMEOUT"] == "40"
    (certificate,) = of_kind(manifests, "Certificate")
    assert certificate["spec"]["dnsNames"] == ["films.example.org"]
    namespaces = {manifest["metadata"].get("namespace") for manifest in manifests}
    assert namespaces == {"films", None}
    assert [manifest["metadata"]["name"] for manifest in of_kind(manifests, "Namespace")] == [
        "films"
    ]


def test_the_manual_says_how_prometheus_sends_the_token() -> None:
    manual = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    _, patches = re.findall(r"```yaml\n(.*?)```", manual, re.DOTALL)
    kustomization = yaml.safe_load(patches) | {
        "resources": ["../reelay/overlays/one-node"],
        "components": ["../reelay/components/service-monitor"],
    }
    monitors = of_kind(build(yaml.safe_dump(kustomization)), "ServiceMonitor")
    endpoints = {one["metadata"]["name"]: one["spec"]["endpoints"] for one in monitors}
    assert [one.get("authorization") for one in endpoints["service"]] == [
        {"credentials": {"name": "access", "key": "REELAY_METRICS_TOKEN"}}
    ]
    assert [one.get("authorization") for one in endpoints["edge"]] == [None]
