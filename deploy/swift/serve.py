"""One process of an OpenStack Swift with its S3 API: an object store to try Reelay's replicas with.

    serve.py proxy|account|container|object1|object2|object3

Each has its configuration made here, and the same rings: every object is on all three object
servers, so that any one is enough to read it. Nothing of it is encrypted, and the keys stand in the
compose file: it is for trying things out, on a network of its own.
"""

import getpass
import os
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

FOLDER = Path("/tmp/swift")  # noqa: S108 # the container's own
DEVICES = Path("/srv/node")
PORT = 8080
OBJECT_SERVERS = ("object1", "object2", "object3")
POWER = 4
"""2**POWER parts: few, as there are few objects."""

_STORAGE = """
[DEFAULT]
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
devices = {devices}
mount_check = false
fallocate_reserve = 1%

[pipeline:main]
pipeline = healthcheck {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}

[filter:healthcheck]
use = egg:swift#healthcheck
"""
_PROXY = """
[DEFAULT]
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}

[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck s3api tempauth slo proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
node_timeout = 5
conn_timeout = 0.5
# An object server that was away is asked again as soon as it is back.
error_suppression_limit = 1000000

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:gatekeeper]
use = egg:swift#gatekeeper

[filter:healthcheck]
use = egg:swift#healthcheck

[filter:s3api]
use = egg:swift#s3api
location = us-east-1

[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{name} = {secret} .admin

[filter:slo]
use = egg:swift#slo
"""


def main() -> None:
    """Run the process that the argument names, until a signal ends it."""
    what = sys.argv[1]
    kind = what.rstrip("123")
    # Swift is what it is: its warnings, eventlet's of its own end among them, are not for here.
    warnings.simplefilter("ignore")
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "swift.conf").write_text("[swift-hash]\nswift_hash_path_suffix = reelay\n")
    # Before anything else of Swift's is imported: some of it is read then.
    utils: Any = import_module("swift.common.utils")
    utils.SWIFT_CONF_FILE = str(FOLDER / "swift.conf")
    values = {
        "port": PORT,
        "user": getpass.getuser(),
        "folder": FOLDER,
        "devices": DEVICES,
        "kind": kind,
    }
    if kind == "proxy":
        account, name = os.environ["AWS_ACCESS_KEY_ID"].split(":")
        build_rings()
        values |= {"account": account, "name": name, "secret": os.environ["AWS_SECRET_ACCESS_KEY"]}
    else:
        (DEVICES / what).mkdir(exist_ok=True)
        build_rings()
    configuration = FOLDER / f"{what}.conf"
    template = _PROXY if kind == "proxy" else _STORAGE
    configuration.write_text(template.format(**values))
    sys.argv = [what, str(configuration)]
    package = "obj" if kind == "object" else kind
    sys.exit(import_module(f"swift.{package}.server").main())


def build_rings() -> None:
    """Say where things are: the same in every container."""
    rings = import_module("swift.common.ring")
    servers = {"account": ("account",), "container": ("container",), "object": OBJECT_SERVERS}
    for kind, names in servers.items():
        builder = rings.RingBuilder(POWER, len(names), 0)
        for number, name in enumerate(names):
            builder.add_dev(
                {
                    "id": number,
                    "region": 1,
                    "zone": number,
                    "ip": f"swift-{name}",  # its name in the network
                    "port": PORT,
                    "device": name,
                    "weight": 1.0,
                }
            )
        builder.rebalance(seed=1)
        builder.get_ring().save(str(FOLDER / f"{kind}.ring.gz"))


if __name__ == "__main__":
    main()
