"""The service, which takes three seconds to stop what runs in the background.

python -m tests.support.slow_end
"""

import asyncio
import sys

from service.__main__ import main
from service.supervisor import Supervisor

stop = Supervisor.stop


async def stop_slowly(supervisor: Supervisor) -> None:
    await asyncio.sleep(3)
    await stop(supervisor)
    sys.stdout.write("everything has been stopped\n")
    sys.stdout.flush()


if __name__ == "__main__":
    Supervisor.stop = stop_slowly  # type: ignore[assignment,method-assign]
    sys.exit(main())
