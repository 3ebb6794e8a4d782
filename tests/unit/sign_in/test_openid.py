"""What an OpenID provider may answer that is not OpenID Connect."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from service.sign_in.openid import OpenIDClient, ProviderError, SignInRequest

KEPT = SignInRequest("state", "nonce", "verifier")
CALLBACK = "https://video.example/sign-in/callback"
TOKEN = {"access_token": "a", "token_type": "Bearer", "id_token": "a.b.c"}


class Provider:
    """A server that answers any JSON."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.configuration: dict[str, Any] = {
            "issuer": base,
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/token",
            "jwks_uri": f"{base}/keys",
        }
        self.answers: dict[str, Any] = {
            "/.well-known/openid-configuration": self.configuration,
            "/token": TOKEN,
            "/keys": {"keys": []},
        }

    @property
    def client(self) -> OpenIDClient:
        return OpenIDClient(self.base, "reelay", "secret", ["*"])


@pytest.fixture
def provider() -> Iterator[Provider]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answering.answers[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    answering = Provider(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    yield answering
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("answer", [[], "x", None, {}])
async def test_a_configuration_that_is_none(provider: Provider, answer: object) -> None:
    provider.answers["/.well-known/openid-configuration"] = answer
    with pytest.raises(ProviderError):
        await provider.client.begin(CALLBACK)


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("value", [None, 5, "", "/path", "javascript:alert(1)"])
async def test_an_endpoint_that_is_no_url(provider: Provider, name: str, value: object) -> None:
    provider.configuration[name] = value
    with pytest.raises(ProviderError, match=name):
        await provider.client.begin(CALLBACK)


@pytest.mark.parametrize("path", ["/token", "/keys"])
@pytest.mark.parametrize("answer", [[], "x", None, {}, {"keys": None}, {"keys": [1]}])
async def test_an_answer_without_tokens_or_keys(
    provider: Provider, path: str, answer: object
) -> None:
    provider.answers[path] = answer
    with pytest.raises(ProviderError):
        await provider.client.finish(CALLBACK, "code", KEPT)


@pytest.mark.parametrize("id_token", [None, 5, "", "a.b.c", []])
async def test_an_id_token_that_is_none(provider: Provider, id_token: object) -> None:
    provider.answers["/token"] = {**TOKEN, "id_token": id_token}
    with pytest.raises(ProviderError, match="ID token"):
        await provider.client.finish(CALLBACK, "code", KEPT)


KEY = ECKey.generate_key("P-256", {"kid": "one"})


def answer_with(provider: Provider, key: ECKey = KEY, **changes: object) -> None:
    """Have the provider send an ID token with these claims; None leaves a claim out."""
    claims = {
        "iss": provider.base, "aud": "reelay", "sub": "ada", "nonce": KEPT.nonce,
        "exp": int(time.time()) + 300, **changes,
    }  # fmt: skip
    claims = {name: value for name, value in claims.items() if value is not None}
    token = jwt.encode({"alg": "ES256", "kid": "one"}, claims, key)
    provider.answers["/token"] = {**TOKEN, "id_token": token}
    provider.answers["/keys"] = {"keys": [KEY.as_dict(private=False)]}


async def test_an_id_token_names_who_signed_in(provider: Provider) -> None:
    answer_with(provider, preferred_username="Ada")
    assert await provider.client.finish(CALLBACK, "code", KEPT) == "Ada"


# OpenID Connect Core §3.1.3.7
@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.example"}, {"iss": None}, {"aud": "other"}, {"aud": None},
        {"aud": ["reelay", "other"], "azp": "other"}, {"sub": None}, {"exp": None},
        {"exp": 1_000_000_000}, {"nonce": "other"}, {"nonce": None},
        {"key": ECKey.generate_key("P-256", {"kid": "one"})},
    ],
    ids=lambda changes: ", ".join(map(repr, changes.items())) if "key" not in changes else "key",
)  # fmt: skip
async def test_an_id_token_for_somebody_else(provider: Provider, changes: dict[str, Any]) -> None:
    answer_with(provider, **changes)
    with pytest.raises(ProviderError, match="ID token"):
        await provider.client.finish(CALLBACK, "code", KEPT)


@pytest.mark.parametrize(("sub", "shown"), [("ada", "ada@example.org"), ("bob", "ada")])
async def test_further_claims_are_those_of_the_same_person(
    provider: Provider, sub: str, shown: str
) -> None:
    answer_with(provider)
    provider.configuration["userinfo_endpoint"] = f"{provider.base}/userinfo"
    provider.answers["/userinfo"] = {"sub": sub, "email": "ada@example.org"}
    assert await provider.client.finish(CALLBACK, "code", KEPT) == shown
