"""One of OpenStack Swift's processes, with its configuration wherever the test has it.

python swift_process.py FOLDER rings ACCOUNT_PORT CONTAINER_PORT OBJECT_PORT...
python swift_process.py FOLDER proxy|account|container|object CONFIGURATION
"""

import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

# Swift is what it is: its warnings, eventlet's of its own end among them, are not of these tests.
warnings.simplefilter("ignore")

POWER = 4  # 2**POWER parts: few, as there are few objects


def build_rings(folder: Path, account: int, container: int, objects: list[int]) -> None:
    """Say where things are: each object on every object server, everything else in one place."""
    rings = import_module("swift.common.ring")
    for name, ports in (("account", [account]), ("container", [container]), ("object", objects)):
        builder = rings.RingBuilder(POWER, len(ports), 0)
        for number, port in enumerate(ports):
            builder.add_dev(
                {
                    "id": number,
                    "region": 1,
                    "zone": number,
                    "ip": "127.0.0.1",
                    "port": port,
                    "device": f"{name}{number}",
                    "weight": 1.0,
                }
            )
        builder.rebalance()
        builder.get_ring().save(str(folder / f"{name}.ring.gz"))


def main() -> None:
    """Do what the arguments say."""
    folder, what, *arguments = sys.argv[1:]
    # Before anything else of Swift's is imported: some of it is read then.
    utils: Any = import_module("swift.common.utils")
    utils.SWIFT_CONF_FILE = f"{folder}/swift.conf"
    if what == "rings":
        account, container, *objects = map(int, arguments)
        build_rings(Path(folder), account, container, objects)
        return
    sys.argv = [what, *arguments]
    package = "obj" if what == "object" else what
    sys.exit(import_module(f"swift.{package}.server").main())


if __name__ == "__main__":
    main()
