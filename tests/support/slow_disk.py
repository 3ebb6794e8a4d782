"""The service over a disk that lists no folder until the file GATE exists.

python -m tests.support.slow_disk
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

from service.__main__ import main

GATE = Path(os.environ["GATE"])
scandir = os.scandir


def slowly(folder: Any = ".") -> Any:
    while isinstance(folder, int) and not GATE.exists():  # a descriptor, as a scan has it
        time.sleep(0.01)
    return scandir(folder)


if __name__ == "__main__":
    os.scandir = slowly  # type: ignore[assignment]
    sys.exit(main())
