"""The service in its own user namespace with a lower kernel limit.

LIMIT=/proc/sys/user/max_inotify_watches=4 python -m tests.support.user_namespace
"""

import os
import sys

SCRIPT = """echo "${LIMIT#*=}" > "${LIMIT%%=*}" && exec "$0" -m service"""

if __name__ == "__main__":
    arguments = ["unshare", "--user", "--map-root-user", "sh", "-c", SCRIPT, sys.executable]
    os.execvp(arguments[0], arguments)  # noqa: S606 # no shell of ours is in between
