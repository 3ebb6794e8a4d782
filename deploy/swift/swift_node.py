"""Run one process of OpenStack Swift, an object store with an S3 API, for trying Reelay.

    swift_node.py NAME [DESCRIPTION]

NAME is proxy, account, container, object1, object2 or object3. DESCRIPTION is a JSON file with the
fields of `Store`; without it the processes run in containers, as in deploy/compose/objects.yml.
Each process writes its own configuration and the same rings: every object is on all object servers,
so that any one is enough to read it. Nothing is encrypted: use it only for trials on a private
network.
"""

import getpass
import json
import os
import sys
import warnings
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

PART_POWER = 4
"""The rings have 2**PART_POWER partitions: few, as there are few objects."""

_COMMON = """
[filter:healthcheck]
use = egg:swift#healthcheck

[DEFAULT]
bind_ip = {bind}
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
"""
_STORAGE = """
devices = {devices}
mount_check = false
fallocate_reserve = 1%

[pipeline:main]
pipeline = healthcheck {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
"""
_PROXY = """
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck s3api tempauth slo proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
node_timeout = 5
conn_timeout = 0.5
# A failed object server is used again as soon as it is back.
error_suppression_limit = 1000000

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:gatekeeper]
use = egg:swift#gatekeeper
# Clients may set the modification time of an object.
shunt_inbound_x_timestamp = false

[filter:s3api]
use = egg:swift#s3api
location = us-east-1
dns_compliant_bucket_names = false

[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{name} = {secret_key} .admin

[filter:slo]
use = egg:swift#slo
"""


@dataclass(frozen=True)
class Store:
    """The addresses of a store's processes, and its credentials."""

    folder: str
    """The parent folder of the configuration of each process."""
    devices: str
    """The folder of the stored data."""
    bind: str
    """The address on which they listen."""
    nodes: dict[str, tuple[str, int]]
    """The host and the port of each process by name, for the other processes."""
    access_key: str
    """ACCOUNT:NAME. Only the proxy needs it."""
    secret_key: str

    def of(self, kind: str) -> list[str]:
        """Return the names of the processes of a kind."""
        return [name for name in self.nodes if kind_of(name) == kind]


def kind_of(name: str) -> str:
    """Return the kind of a process, such as `object`."""
    return name.rstrip("0123456789")


def in_containers() -> Store:
    """Return the description of the store of deploy/compose/objects.yml."""
    names = ("proxy", "account", "container", "object1", "object2", "object3")
    return Store(
        folder="/tmp/swift",  # noqa: S108 # the container's own
        devices="/srv/node",
        bind="0.0.0.0",  # noqa: S104
        nodes={name: (f"swift-{name}", 8080) for name in names},
        access_key=os.environ.get("AWS_ACCESS_KEY_ID", ""),
        secret_key=os.environ.get("AWS_SECRET_ACCESS_KEY", ""),
    )


def main() -> None:
    """Run the process that the first argument names, until a signal ends it."""
    name, *paths = sys.argv[1:]
    text = Path(paths[0]).read_text(encoding="utf-8") if paths else None
    store = Store(**json.loads(text)) if text else in_containers()
    # Warnings of Swift, such as the deprecation of eventlet, are of no use here.
    warnings.simplefilter("ignore")
    kind, folder = kind_of(name), Path(store.folder, name)
    folder.mkdir(parents=True, exist_ok=True)
    use(folder)
    build_rings(store, folder)
    if kind != "proxy":
        Path(store.devices, name).mkdir(parents=True, exist_ok=True)
    configuration = folder / "server.conf"
    configuration.write_text(configured(store, name, folder))
    sys.argv = [name, str(configuration)]
    package = "obj" if kind == "object" else kind
    sys.exit(import_module(f"swift.{package}.server").main())


def use(folder: Path) -> None:
    """Write Swift's main configuration and select it, before other parts of Swift are imported."""
    (folder / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = reelay\n")
    utils: Any = import_module("swift.common.utils")
    utils.SWIFT_CONF_FILE = str(folder / "swift.conf")


def configured(store: Store, name: str, folder: Path) -> str:
    """Return a process's configuration."""
    common = _COMMON.format(
        bind=store.bind, port=store.nodes[name][1], user=getpass.getuser(), folder=folder
    )
    if name != "proxy":
        return common + _STORAGE.format(devices=store.devices, kind=kind_of(name))
    account, colon, user = store.access_key.partition(":")
    if not (account and colon and user) or "_" in store.access_key:
        sys.exit("The access key must be ACCOUNT:NAME, without underscores.")
    if not store.secret_key or len(store.secret_key.split()) > 1:
        sys.exit("The secret key must be one word.")
    return common + _PROXY.format(account=account, name=user, secret_key=store.secret_key)


def build_rings(store: Store, folder: Path) -> None:
    """Build the rings, which are the same for every process."""
    rings = import_module("swift.common.ring")
    for kind in ("account", "container", "object"):
        names = store.of(kind)
        builder = rings.RingBuilder(PART_POWER, len(names), 0)
        for number, name in enumerate(names):
            host, port = store.nodes[name]
            builder.add_dev(
                {
                    "id": number,
                    "region": 1,
                    "zone": number,
                    "ip": host,
                    "port": port,
                    "device": name,
                    "weight": 1.0,
                }
            )
        builder.rebalance(seed=1)
        builder.get_ring().save(str(folder / f"{kind}.ring.gz"))


if __name__ == "__main__":
    main()
