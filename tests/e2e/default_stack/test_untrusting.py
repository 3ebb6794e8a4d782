"""By default no client is trusted for the viewer's address and scheme."""

import pytest
from support.raw_http import ask
from support.stack import Stack
from support.trusted_proxies import VIEWER, client_of, fresh

pytestmark = pytest.mark.stack


def test_no_client_is_trusted_by_default(stack: Stack) -> None:
    target = fresh()
    ask(stack.base, target, {"X-Forwarded-For": VIEWER})
    assert client_of(stack, target) == stack.gateway
    answer = ask(stack.unencrypted, "/", {"X-Forwarded-Proto": "https"})
    assert answer.status == 308


def test_hsts_is_off_by_default(stack: Stack) -> None:
    for target in ("/", "/media/file.mp4", "/metrics"):
        assert "Strict-Transport-Security" not in ask(stack.base, target).headers


def test_an_invalid_setting_stops_the_start_and_is_named(stack: Stack) -> None:
    """The table of invalid settings is in tests/unit/test_edge_settings.py."""
    for setting in ("REELAY_TRUSTED_PROXIES=example.com", "REELAY_PROXY_PROTOCOL=on"):
        with pytest.raises(AssertionError, match=setting.partition("=")[0]):
            stack.compose("run", "--rm", "--no-deps", "--env", setting, "nginx")
