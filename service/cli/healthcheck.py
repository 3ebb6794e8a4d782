"""The command `python -m service.cli.healthcheck`: checks whether the local service is ready."""

import os
import socket
import sys

from service.settings.listen import listen_source, listening_address


def main() -> int:
    """Return the exit status: 0 if `/readyz` answers 200, 2 if the address is invalid, else 1."""
    try:
        host, port = listening_address(os.environ)
    except (OSError, ValueError) as error:
        print(f"{listen_source(os.environ)}: {error}", file=sys.stderr)
        return 2
    loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    try:
        # Without http.client, which takes twice as much processor time as all the rest.
        with socket.create_connection((loopback, port), timeout=12) as connection:
            connection.sendall(
                b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )
            status_line = connection.makefile("rb").readline(100)
    except OSError:
        return 1
    return 0 if status_line.startswith(b"HTTP/1.1 200 ") else 1


if __name__ == "__main__":
    sys.exit(main())
