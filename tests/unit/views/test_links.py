import pytest
from quart import Quart

from service.views import links


async def absolute(host: str | None, **headers: str) -> str:
    app = Quart("service")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with app.test_request_context("/", headers=named, scheme="http") as context:
        context.request.headers.pop("Host", None)
        if host is not None:
            context.request.headers["Host"] = host
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
async def test_an_absolute_url_has_the_host_that_was_asked(host: str) -> None:
    assert await absolute(host) == f"http://{host}/watch/film%201.mp4"
    told = await absolute(host, X_Forwarded_Proto="https")
    assert told == f"https://{host}/watch/film%201.mp4"


@pytest.mark.parametrize(
    "host",
    [None, "", "_/", 'a"b', "a<b>", "a b", "a/b", "user@host", "a?b", "a#b", "a:", "a:b", "[::1",
     "a:123456", "ä.example", "%41", "a,b", "x" * 254],
)  # fmt: skip
async def test_what_is_no_host_makes_no_absolute_url(host: str | None) -> None:
    assert await absolute(host) == "/watch/film%201.mp4"


@pytest.mark.parametrize("said", ["", "ftp", "javascript", "https,http", "HTTPS", '"'])
async def test_of_schemes_only_two_are_believed(said: str) -> None:
    assert await absolute("a.example", X_Forwarded_Proto=said) == (
        "http://a.example/watch/film%201.mp4"
    )


async def test_a_host_that_proxies_pass_on_in_other_headers_is_not_believed() -> None:
    told = await absolute("a.example", X_Forwarded_Host="b.example", Forwarded="host=b.example")
    assert told == "http://a.example/watch/film%201.mp4"
