"""Only proxies that the operator names are trusted for the viewer's address and scheme."""

import pytest
from support.raw_http import ask
from support.stack import Stack
from support.trusted_proxies import OWN_ADDRESS, VIEWER, YEAR, ask_inside, client_of, fresh

pytestmark = pytest.mark.stack


class TestForwarded:
    @pytest.mark.parametrize(
        ("chain", "client"),
        [
            (VIEWER, VIEWER),
            ("2001:db8::7", "2001:db8::7"),
            # From the right, as long as proxies are trusted: the rest may be forged.
            (f"10.9.9.9, {VIEWER}", VIEWER),
            (f"10.9.9.9, {VIEWER}, 192.0.2.1", VIEWER),
            (f"10.9.9.9, {VIEWER}, 192.0.2.1, 192.0.2.200", VIEWER),
            (f"192.0.2.9, {VIEWER}, 192.0.2.1", VIEWER),
            (f"unknown, {VIEWER}", VIEWER),
            ("192.0.2.5, 192.0.2.1", "192.0.2.5"),
        ],
    )
    def test_the_chain_of_a_trusted_proxy_is_read_from_the_right(
        self, trusting: Stack, chain: str, client: str
    ) -> None:
        target = fresh()
        ask(trusting.base, target, {"X-Forwarded-For": chain})
        assert client_of(trusting, target) == client

    @pytest.mark.parametrize("chain", ["", "nonsense", "unix:", "203.0.113.7 extra", "<script>"])
    def test_an_invalid_address_is_ignored(self, trusting: Stack, chain: str) -> None:
        target = fresh()
        ask(trusting.base, target, {"X-Forwarded-For": chain})
        assert client_of(trusting, target) == trusting.gateway

    def test_addresses_from_untrusted_clients_are_ignored(self, trusting: Stack) -> None:
        own = trusting.inside(OWN_ADDRESS).strip()
        for chain in (VIEWER, f"{VIEWER}, 192.0.2.1"):
            target = fresh()
            fields = {"X-Forwarded-For": chain, "X-Real-IP": VIEWER, "Forwarded": f"for={VIEWER}"}
            ask_inside(trusting, 8443, target, fields)
            assert client_of(trusting, target) == own

    def test_other_address_fields_are_ignored(self, trusting: Stack) -> None:
        target = fresh()
        fields = {"X-Real-IP": VIEWER, "Forwarded": f"for={VIEWER}", "X_Forwarded_For": VIEWER}
        ask(trusting.base, target, fields)
        assert client_of(trusting, target) == trusting.gateway


class TestScheme:
    def test_a_trusted_proxy_that_reports_https_is_served(self, trusting: Stack) -> None:
        answer = ask(trusting.unencrypted, "/", {"X-Forwarded-Proto": "https"})
        assert answer.status == 200
        assert answer.headers["Strict-Transport-Security"] == f"max-age={YEAR}"
        media = ask(trusting.unencrypted, "/media/file.mp4", {"X-Forwarded-Proto": "https"})
        assert media.status == 200

    @pytest.mark.parametrize(
        "scheme", [None, "http", "HTTP", "ftp", "http, https", "https, http", ""]
    )
    def test_a_trusted_proxy_that_reports_another_scheme_is_redirected_to_port_443(
        self, trusting: Stack, scheme: str | None
    ) -> None:
        fields = {"Host": "video.example"}
        if scheme is not None:
            fields["X-Forwarded-Proto"] = scheme
        answer = ask(trusting.unencrypted, "/watch/a?b", fields)
        assert answer.status == 308
        assert answer.headers["Location"] == "https://video.example/watch/a?b"
        assert "Strict-Transport-Security" not in answer.headers

    def test_a_trusted_proxy_may_connect_by_tls(self, trusting: Stack) -> None:
        assert ask(trusting.base, "/").status == 200
        assert ask(trusting.base, "/", {"X-Forwarded-Proto": "https"}).status == 200
        answer = ask(trusting.base, "/", {"X-Forwarded-Proto": "http", "Host": "video.example"})
        assert (answer.status, answer.headers["Location"]) == (308, "https://video.example/")

    def test_schemes_from_untrusted_clients_are_ignored(self, trusting: Stack) -> None:
        port = trusting.ports["HTTPS"]
        for scheme in ("https", "http"):
            fields = {"X-Forwarded-Proto": scheme, "Host": "video.example"}
            status, answer = ask_inside(trusting, 8080, "/x", fields)
            assert (status, answer["Location"]) == (308, f"https://video.example:{port}/x")
            assert ask_inside(trusting, 8443, "/", fields)[0] == 200

    def test_http_3_is_advertised_where_tls_ends_at_the_edge(self, trusting: Stack) -> None:
        _, direct = ask_inside(trusting, 8443, "/")
        assert direct["Alt-Svc"] == f'h3=":{trusting.ports["HTTPS"]}"; ma=86400'
        assert "Alt-Svc" not in ask_inside(trusting, 8080, "/")[1]
        for base in (trusting.base, trusting.unencrypted):
            answer = ask(base, "/", {"X-Forwarded-Proto": "https"})
            assert "Alt-Svc" not in answer.headers


class TestHSTS:
    """Strict-Transport-Security: RFC 6797 §7.2 forbids it without TLS."""

    @pytest.mark.parametrize("target", ["/", "/media/file.mp4", "/metrics", "/media/none.mp4"])
    def test_hsts_is_on_every_https_answer(self, trusting: Stack, target: str) -> None:
        answer = ask(trusting.base, target)
        assert answer.headers.get_all("Strict-Transport-Security") == [f"max-age={YEAR}"]
        assert "Strict-Transport-Security" not in ask(trusting.unencrypted, target).headers
