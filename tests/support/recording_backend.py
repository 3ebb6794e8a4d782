"""A server that replaces the service and prints each request as a JSON object.

Its files have ten bytes. It runs in a container from its source alone.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DATA = b"0123456789"


class Recorder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # the framework's name
        fields = [[name.lower(), value] for name, value in self.headers.items()]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        record = {"method": self.command, "path": self.path, "fields": fields, "body": body}
        # In one call, as print() would write the line's end in another: two threads may mix them.
        sys.stdout.write(f"{json.dumps(record)}\n")
        sys.stdout.flush()
        if self.path.startswith("/_revision"):
            self.send_response(204)
            self.send_header("X-Revision", "a-1")
            self.end_headers()
            return
        self.send_response(206 if "Range" in self.headers else 200)
        if "Range" in self.headers:
            self.send_header("Content-Range", f"bytes 0-{len(DATA) - 1}/{len(DATA)}")
        self.send_header("Content-Length", str(len(DATA)))
        self.send_header("ETag", '"a-1"')
        self.end_headers()
        self.wfile.write(DATA)

    do_HEAD = do_POST = do_GET  # noqa: N815 # as above


if __name__ == "__main__":
    ThreadingHTTPServer(("", 8000), Recorder).serve_forever()
