"""The command `python -m service.cli.healthcheck`: checks whether the local service is ready."""

import http.client
import os
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
    connection = http.client.HTTPConnection(loopback, port, timeout=12)
    try:
        connection.request("GET", "/readyz")
        return 0 if connection.getresponse().status == http.HTTPStatus.OK else 1
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
