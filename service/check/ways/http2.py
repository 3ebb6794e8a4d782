"""Requests over HTTP/2, by the httpx2 library."""

import time
from collections.abc import Mapping

from service.check.ways.http1 import Answer, NoAnswerError, Server


class Http2:
    """HTTP/2, by the httpx2 library."""

    def __init__(self, server: Server) -> None:
        import httpx2  # noqa: PLC0415 # slow to import, and used by one check

        self._server = server
        self._httpx = httpx2
        self._client = httpx2.Client(
            verify=server.context, http1=False, http2=True, trust_env=False
        )

    def ask(
        self, target: str, headers: Mapping[str, str], method: str = "GET", limit: int = 0
    ) -> Answer:
        """Send a request; read up to `limit` bytes. Raises NoAnswerError, BudgetSpentError."""
        server = self._server
        url = f"{server.scheme}://{server.authority}{target}"
        fields = {**dict(server.headers), "Accept-Encoding": "identity", **headers}
        timeout = server.budget.timeout(server.timeout)
        start = time.monotonic()
        body = bytearray()
        try:
            with self._client.stream(method, url, headers=fields, timeout=timeout) as response:
                first_byte = time.monotonic() - start
                for chunk in response.iter_raw():
                    body += chunk
                    server.budget.spend(len(chunk))
                    if len(body) >= limit:
                        break
                    server.budget.timeout(server.timeout)
        except self._httpx.HTTPError as error:
            raise NoAnswerError(f"HTTP/2 got no response: {error}.") from error
        names = tuple((name.lower(), value) for name, value in response.headers.multi_items())
        return Answer(
            response.status_code, names, bytes(body[:limit]), is_cut=False, first_byte=first_byte
        )  # a stream that is cut is an error of the library: RFC 9113 §8.1.1

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
