"""A stack that trusts this machine, an unused network and a balancer, but not the service."""

import contextlib
import json
import secrets
from collections.abc import Iterator

from support.server import until
from support.stack import Stack, address_of, container

VIEWER = "203.0.113.7"  # RFC 5737: reserved for documentation
PROXIES = "192.0.2.0/24"
YEAR = "31536000"

ASK_FROM_INSIDE = """
import http.client, json, ssl, sys
port, target, headers = json.loads(sys.argv[1])
if port == 8443:
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("nginx", port, context=context)
else:
    connection = http.client.HTTPConnection("nginx", port)
connection.request("GET", target, headers=headers)
answer = connection.getresponse()
print(json.dumps([answer.status, dict(answer.getheaders())]))
"""
OWN_ADDRESS = "import socket; print(socket.gethostbyname(socket.gethostname()))"

# A typical balancer: it terminates TLS and connects to the edge without TLS.
BALANCER = """
events {}
pid /tmp/nginx.pid;
error_log stderr;
http {
    access_log off;
    resolver 127.0.0.11 valid=1s;
    client_body_temp_path /tmp/a; proxy_temp_path /tmp/b; fastcgi_temp_path /tmp/c;
    uwsgi_temp_path /tmp/d; scgi_temp_path /tmp/e;
    server {
        listen 9443 ssl;
        listen 9080;
        ssl_certificate /etc/nginx/tls/fullchain.pem;
        ssl_certificate_key /etc/nginx/tls/privkey.pem;
        set $edge nginx;
        location / {
            proxy_pass http://$edge:8080;
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_buffering off;
        }
    }
}
"""


@contextlib.contextmanager
def balancer_in_front(stack: Stack) -> Iterator[str]:
    """Run a balancer; yield the name of its container."""
    script = (
        f"printf '%s' '{BALANCER}' >/tmp/own.conf; exec nginx -c /tmp/own.conf -g 'daemon off;'"
    )
    with container(
        stack, "--volume", f"{stack.project}_certificates:/etc/nginx/tls:ro",
        "--publish", "127.0.0.1::9443", "--publish", "127.0.0.1::9080",
        "--entrypoint", "sh", f"{stack.project}-nginx", "-c", script,
    ) as name:  # fmt: skip
        yield name


def trust(stack: Stack, balancer: str) -> None:
    """Configure the stack's trusted proxies."""
    stack.configure(TRUSTED_PROXIES=f"{stack.gateway}, {PROXIES} {address_of(balancer)}")


def ask_inside(
    stack: Stack, port: int, target: str, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str]]:
    """Send a request from an untrusted client; return status and header fields."""
    output = stack.inside(ASK_FROM_INSIDE, json.dumps([port, target, headers or {}]))
    status, fields = json.loads(output)
    return status, fields


def fresh() -> str:
    """Return a target that no other request uses."""
    return f"/api/videos/{secrets.token_hex(8)}.mp4"


def client_of(stack: Stack, target: str) -> str:
    """Return the client's address as the edge logged it."""

    def logged_client() -> str | None:
        lines = [line for line in stack.events("nginx") if line["uri"] == target]
        return lines[-1]["client"] if lines else None

    address: str = until(logged_client, f"{target} is logged")
    return address
