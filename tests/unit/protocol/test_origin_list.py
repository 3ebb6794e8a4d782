"""Lists of origins: which ones they have. The edge's own matches are the same."""

import re

import pytest
from support.cors_cases import LISTED, ORIGINS

from service.protocol.origin_list import matcher, parse


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_list_has_its_origins_and_no_others(origin: str) -> None:
    assert matcher(parse(LISTED))(origin) == ORIGINS[origin]


@pytest.mark.parametrize("origin", ORIGINS)
def test_a_star_has_every_origin_and_none_has_no_origin(origin: str) -> None:
    assert matcher(parse("*"))(origin)
    assert not matcher(parse("none"))(origin)


@pytest.mark.parametrize(
    ("listed", "sent"),
    [
        # Browsers omit the default port (URL standard, "default port") and write in lower case.
        ("https://a.example:443", "https://a.example"),
        ("http://a.example:80", "http://a.example"),
        ("http://a.example:080", "http://a.example"),
        ("https://A.Example", "https://a.example"),
        ("http://a.example:443", "http://a.example:443"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://192.0.2.7", "http://192.0.2.7"),
        # `*` is any port, the default one, too (CSP3 §6.7.2.11).
        ("https://a.example:*", "https://a.example"),
        ("https://a.example:*", "https://a.example:65535"),
    ],
)
def test_an_origin_is_matched_as_browsers_write_it(listed: str, sent: str) -> None:
    assert matcher(parse(listed))(sent)


def test_an_origin_with_a_line_feed_is_not_listed() -> None:
    assert not matcher(parse("https://a.example"))("https://a.example\n")
    assert re.search("^https://a.example$", "https://a.example\n")  # which a plain `$` would match
