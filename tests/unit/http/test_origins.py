import ipaddress

import pytest
from quart import Quart

from service.http.origins import Origins
from service.items import links

PROXY = ("10.1.2.3", 40_000)
TRUSTED = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "192.0.2.7", "2001:db8::/64")]


async def absolute(host: str | None, client: tuple[str, int] | None = PROXY, **headers: str) -> str:
    app = Quart("service")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with app.test_request_context("/", headers=named, scheme="http") as context:
        if host is not None:
            named["Host"] = host
        fields = [(k.lower().encode(), v.encode("latin-1")) for k, v in named.items()]
        context.request.scope["headers"] = fields
        context.request.scope["client"] = client
        Origins(TRUSTED).set_origin()
        return links.absolute("/watch/film%201.mp4")


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "localhost:8443",
        "192.0.2.7:80",
        "[2001:db8::7]",
        "[::1]:8000",
        "my_box.local",
    ],
)
async def test_an_absolute_url_has_the_requested_host(host: str) -> None:
    assert await absolute(host) == f"http://{host}/watch/film%201.mp4"
    url = await absolute(host, X_Forwarded_Proto="https")
    assert url == f"https://{host}/watch/film%201.mp4"


@pytest.mark.parametrize(
    "host",
    [None, "", "_/", 'a"b', "a<b>", "a b", "a/b", "user@host", "a?b", "a#b", "a:", "a:b", "[::1",
     "a:123456", "ä.example", "%41", "a,b", "x" * 254],
)  # fmt: skip
async def test_an_invalid_host_makes_no_absolute_url(host: str | None) -> None:
    assert await absolute(host) == "/watch/film%201.mp4"


@pytest.mark.parametrize("forwarded", ["", "ftp", "javascript", "https,", "HTTPS", '"'])
async def test_only_http_and_https_are_accepted_as_schemes(forwarded: str) -> None:
    assert await absolute("a.example", X_Forwarded_Proto=forwarded) == (
        "http://a.example/watch/film%201.mp4"
    )


async def test_a_trusted_proxy_may_name_the_requested_host() -> None:
    url = await absolute(
        "origin.internal:8000", X_Forwarded_Host="a.example:8443", X_Forwarded_Proto="https"
    )
    assert url == "https://a.example:8443/watch/film%201.mp4"


@pytest.mark.parametrize("forwarded", ["", "a b", "<script>", "a.example, "])
async def test_without_a_valid_forwarded_host_the_host_header_counts(forwarded: str) -> None:
    assert await absolute("b.example", X_Forwarded_Host=forwarded) == (
        "http://b.example/watch/film%201.mp4"
    )


async def test_the_last_forwarded_value_counts() -> None:
    url = await absolute(
        "a.example", X_Forwarded_Host="evil.example, b.example", X_Forwarded_Proto="http,https"
    )
    assert url == "https://b.example/watch/film%201.mp4"


async def test_other_proxy_headers_are_ignored() -> None:
    url = await absolute("a.example", Forwarded="host=b.example;proto=https", X_Real_IP="::1")
    assert url == "http://a.example/watch/film%201.mp4"


@pytest.mark.parametrize(
    ("address", "believed"),
    [
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8::ffff", True),
        ("2001:db8:0:1::", False),
        ("::ffff:10.0.0.1", True),  # as on a dual-stack socket
        ("::ffff:11.0.0.1", False),
        ("fe80::1%eth0", False),
        ("", False),
    ],
)
async def test_only_trusted_proxies_are_believed(address: str, believed: bool) -> None:  # noqa: FBT001
    url = await absolute(
        "a.example", (address, 1), X_Forwarded_Host="b.example", X_Forwarded_Proto="https"
    )
    origin = "https://b.example" if believed else "http://a.example"
    assert url == f"{origin}/watch/film%201.mp4"


async def test_a_client_without_an_address_is_not_trusted() -> None:
    assert (await absolute("a.example", None, X_Forwarded_Proto="https")).startswith("http:")
