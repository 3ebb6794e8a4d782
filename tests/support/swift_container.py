"""Write thousands of objects into the listing of a Swift bucket only.

    python swift_container.py FOLDER BUCKET COUNT

Writing them through the store would take minutes.
"""

import hashlib
import sys
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

warnings.simplefilter("ignore")  # as in deploy/swift/swift_node.py

SIZE = 1000  # bytes, in the listing


def path_of(number: int) -> str:
    """Return the name of an object; each folder has 100 objects."""
    return f"{number // 100:03}/{number:05}.mp4"


def main() -> None:
    """Write the listing that the arguments describe."""
    folder, bucket, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    utils: Any = import_module("swift.common.utils")
    utils.SWIFT_CONF_FILE = f"{folder}/container/swift.conf"
    backend: Any = import_module("swift.container.backend")
    now = utils.Timestamp(time.time() - 3600).internal
    for file in Path(folder, "devices", "container").rglob("*.db"):
        broker = backend.ContainerBroker(str(file))
        if broker.get_info()["container"] == bucket:
            broker.merge_items(
                [
                    {
                        "name": (name := path_of(number)),
                        "created_at": now,
                        "size": SIZE,
                        "content_type": "video/mp4",
                        "etag": hashlib.md5(name.encode(), usedforsecurity=False).hexdigest(),
                        "deleted": 0,
                        "storage_policy_index": 0,
                    }
                    for number in range(count)
                ]
            )
            return
    sys.exit(f"there is no bucket {bucket}")


if __name__ == "__main__":
    main()
