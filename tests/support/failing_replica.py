"""A proxy in front of a replica that fails; it runs in a container from its source alone.

It truncates the first answer to each range request; the next one is complete. It truncates every
answer for a path that contains `damaged`. For a path that contains `unanswered`, it closes the
first new connection without an answer.

    failing_replica.py ADDRESS-OF-THE-REPLICA
"""

import http.client
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CUT: set[tuple[str, str]] = set()
UNANSWERED: set[str] = set()


class Failing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    used = False  # whether the connection had a request before: nginx then retries by itself

    def do_GET(self) -> None:  # the framework's name
        used, self.used = self.used, True
        if "/unanswered" in self.path and self.path not in UNANSWERED:
            if not used:
                UNANSWERED.add(self.path)
            self.close_connection = True
            return
        replica = http.client.HTTPConnection(sys.argv[1], 8000, timeout=30)
        replica.request("GET", self.path, headers=dict(self.headers.items()))
        answer = replica.getresponse()
        body = answer.read()
        replica.close()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in {"connection", "date", "server"}:
                self.send_header(name, value)
        self.end_headers()
        request = (self.path, self.headers.get("Range", ""))
        if answer.status == 206 and (request not in CUT or "/damaged" in self.path):
            CUT.add(request)
            print("cut", *request, flush=True)  # noqa: T201 # the test reads it
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8000), Failing).serve_forever()
