"""HTTP/2 in clear text: readers that are slow, stalled or gone, floods, and the service's end."""

import signal
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import h2.settings
import pytest
from support import h2c
from support.h2c import ANY_STREAM, Client, request
from support.raw_http import ask
from support.server import BLOCK, Server, content, serve, until, write

LARGE = 48 * BLOCK  # more than the kernel buffers between two sockets
DATA = content(LARGE)
STALL = 5  # seconds

# Bytes that the process may grow by for each stream that is not read, as for each slow client of
# HTTP/1.1 (test_slow_clients.py).
MOST_MEMORY = 128 * 1024

# RFC 9113 §7.
NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 0, 2, 7, 8, 11

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("over-time") / "media"
    write(folder, "large.mp4", DATA)
    return folder


@pytest.fixture(scope="module")
def stalling(media: Path) -> Iterator[Server]:
    """One that soon takes clients for stalled."""
    with serve(media, STALL_TIMEOUT=str(STALL)) as running:
        yield running
        assert not [line for line in running.lines if "Traceback" in line]


@pytest.fixture(scope="module")
def patient(media: Path) -> Iterator[Server]:
    """One that does not, and logs no requests."""
    with serve(media, STALL_TIMEOUT="600", LOG_LEVEL="error") as running:
        yield running
        assert not running.lines[1:]


def no_more(server: Server) -> None:
    until(lambda: server.in_progress() == 0 or None, "no response is under way")


class TestWindows:
    """RFC 9113 §5.2."""

    @pytest.mark.parametrize("window", [0, 1000, 100_000])
    def test_what_a_stream_does_not_take_is_not_held(self, media: Path, window: int) -> None:
        def begin(clients: ExitStack, connections: int) -> None:
            for _ in range(connections):
                client = clients.enter_context(Client(server.base, window, taking=False))
                responses = [client.get("/media/large.mp4", flushed=False) for _ in range(100)]
                client.flush()
                while not all(response.status for response in responses):
                    client.read()
                assert all(response.status == 200 for response in responses)

        # A server of its own, as what others have held may be kept for the next.
        with serve(media, STALL_TIMEOUT="600", LOG_LEVEL="error") as server:
            with ExitStack() as clients:  # what the first of all cost is not for each
                begin(clients, 1)
            no_more(server)
            before = server.resident()
            with ExitStack() as clients:
                begin(clients, 8)
                assert server.in_progress() == 800
                answer = ask(server.base, "/media/large.mp4", {"Range": f"bytes={BLOCK}-"})
                assert answer.body == DATA[BLOCK : 2 * BLOCK]
                growth = (server.resident() - before) / 800
            assert growth <= MOST_MEMORY
            no_more(server)

    def test_exactly_as_much_comes_as_the_windows_allow(self, patient: Server) -> None:
        """RFC 9113 §6.9.1: first as the stream's, then as the connection's, which is 65,535."""
        with Client(patient.base, 1000, taking=False) as client:
            one, other = (client.get("/media/large.mp4") for _ in range(2))
            for response in (one, other):
                client.wait_for_body(response, 1000)
            client.h2.increment_flow_control_window(70_000, client.number(one))
            client.flush()
            client.wait_for_body(one, 65_535 - 1000)
            client.h2.increment_flow_control_window(70_000, client.number(other))
            client.h2.increment_flow_control_window(500)
            client.flush()
            while len(one.body) + len(other.body) < 65_535 + 500:
                client.read()
            client.h2.ping(b"then all")
            client.flush()
            client.read()
            assert len(one.body) + len(other.body) == 65_535 + 500
            assert DATA.startswith(one.body)
            assert DATA.startswith(other.body)

    def test_a_window_that_settings_take_back_is_waited_for(self, patient: Server) -> None:
        """RFC 9113 §6.9.2: it may become less than nothing."""
        with Client(patient.base, 60_000, taking=False) as client:
            response = client.get("/media/large.mp4")
            client.wait_for_body(response, 60_000)
            setting = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
            client.h2.update_settings({setting: 10_000})
            number = client.number(response)
            client.flush()
            while client.h2.local_settings.initial_window_size != 10_000:
                client.read()
            client.h2.increment_flow_control_window(50_000, number)  # makes it nothing
            client.h2.increment_flow_control_window(2_000, number)
            client.flush()
            client.wait_for_body(response, 62_000)
            client.h2.ping(b"then all")
            client.flush()
            client.read()
            assert len(response.body) == 62_000


class TestStalled:
    @pytest.mark.parametrize("target", ["/media/large.mp4", "/"])
    def test_a_stream_whose_window_stays_shut_is_reset(self, stalling: Server, target: str) -> None:
        before = stalling.metric('reelay_broken_responses_total{outcome="stalled"}')
        with Client(stalling.base, 0) as client:
            response = client.get(target)
            client.wait(response)
            assert response.status == 200
            assert response.reset == CANCEL
            client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 2**20})
            other = client.get("/media/large.mp4", range="bytes=5-9")
            client.wait(other)
            assert other.body == DATA[5:10]
        assert stalling.metric('reelay_broken_responses_total{outcome="stalled"}') == before + 1

    def test_a_stream_of_a_connection_whose_window_stays_shut_is_reset(
        self, stalling: Server
    ) -> None:
        with Client(stalling.base, taking=False) as client:  # 65,535 bytes for all
            responses = [client.get("/media/large.mp4") for _ in range(3)]
            client.wait(*responses)
        assert [response.reset for response in responses] == [CANCEL] * 3
        assert sum(len(response.body) for response in responses) == 65_535

    def test_a_client_that_reads_nothing_at_all_is_cut(self, stalling: Server) -> None:
        """Its windows are open, but its kernel's is not."""
        before = stalling.metric('reelay_broken_responses_total{outcome="stalled"}')
        with Client(stalling.base, 2**31 - 1) as client:
            client.get("/media/large.mp4")
            until(
                lambda: (
                    stalling.metric('reelay_broken_responses_total{outcome="stalled"}') > before
                    or None
                ),
                "it is cut",
            )

    def test_one_that_is_slow_is_not_while_another_is(self, stalling: Server) -> None:
        length = 16 * 1000
        with Client(stalling.base, 0, taking=False) as client:
            stalled = client.get("/media/large.mp4")
            slow = client.get("/media/large.mp4", range=f"bytes=0-{length - 1}")
            while not slow.ended:  # for more than three times the stall timeout
                time.sleep(1)
                assert slow.reset is None
                assert not client.closed
                client.h2.increment_flow_control_window(1000, client.number(slow))
                client.flush()
                client.read()
            assert slow.body == DATA[:length]
            client.wait(stalled)
            assert stalled.reset == CANCEL


class TestGone:
    def test_a_stream_that_is_given_up_ends_alone(self, stalling: Server) -> None:
        """As a player's does at each seek."""
        before = stalling.metric('reelay_broken_responses_total{outcome="aborted"}')
        with Client(stalling.base, 1000, taking=False) as client:
            given_up, other = (client.get("/media/large.mp4") for _ in range(2))
            client.wait_for_body(given_up, 1000)
            client.h2.reset_stream(client.number(given_up), CANCEL)
            client.flush()
            until(lambda: stalling.in_progress() == 1 or None, "it has ended")
            client.h2.increment_flow_control_window(5000, client.number(other))
            client.flush()
            client.wait_for_body(other, 6000)
        assert stalling.metric('reelay_broken_responses_total{outcome="aborted"}') >= before + 1

    @pytest.mark.parametrize("target", ["/media/large.mp4", "/", "/api/videos"])
    def test_whoever_leaves_holds_nothing_open(self, stalling: Server, target: str) -> None:
        before = stalling.metric('reelay_broken_responses_total{outcome="aborted"}')
        for _ in range(5):
            with Client(stalling.base, 10, taking=False) as client:
                responses = [client.get(target, flushed=False) for _ in range(20)]
                client.flush()
                for response in responses:
                    client.wait_for_body(response, 10)
        no_more(stalling)
        assert stalling.metric('reelay_broken_responses_total{outcome="aborted"}') == before + 100

        def closed() -> bool | None:
            links = Path(f"/proc/{stalling.process.pid}/fd").iterdir()
            names = [link.readlink().name for link in links if link.is_symlink()]
            return "large.mp4" not in names or None

        until(closed, "the file is closed")

    def test_a_stream_that_is_given_up_while_another_fills_the_connection_leaves_no_gap(
        self, patient: Server
    ) -> None:
        """What it would have been sent is in the table of headers that both sides keep."""
        with Client(patient.base, 2**31 - 1) as client:
            large = client.get("/media/large.mp4")  # and nothing is read
            until(lambda: patient.in_progress() == 1 or None, "it is under way")
            time.sleep(0.5)  # until the kernel takes no more: else there is nothing to wait for
            given_up = client.get("/media/large.mp4", range="bytes=0-999999")
            until(lambda: patient.in_progress() == 2 or None, "it waits for its turn")
            client.h2.reset_stream(client.number(given_up), CANCEL)
            client.flush()
            until(lambda: patient.in_progress() == 1 or None, "it has ended")
            last = client.get("/media/large.mp4", range="bytes=7-16")
            client.wait(large, last)
            assert large.body == DATA
            assert last.headers["content-range"] == [f"bytes 7-16/{LARGE}"]
            assert last.body == DATA[7:17]

    def test_a_client_that_says_goaway_gets_what_it_has_asked(self, patient: Server) -> None:
        """RFC 9113 §6.8: it speaks of streams that we would open."""
        with Client(patient.base, 10) as client:
            response = client.get("/media/large.mp4", range="bytes=0-99999")
            client.wait_for_body(response, 10)
            client.socket.sendall(h2c.frame(7, struct.pack(">LL", 0, NO_ERROR)))
            client.h2.increment_flow_control_window(100_000, client.number(response))
            client.flush()
            client.wait(response)
            assert response.body == DATA[:100_000]

    def test_a_client_that_says_goaway_is_let_go(self, stalling: Server) -> None:
        with Client(stalling.base, 10) as client:
            response = client.get("/media/large.mp4")
            client.wait_for_body(response, 10)
            client.h2.close_connection()
            client.flush()
            while client.socket.recv(65536):
                pass
        no_more(stalling)

    @pytest.mark.parametrize("change", ["shrink", "rewrite"])
    def test_a_file_that_changes_under_a_response_resets_it(
        self, stalling: Server, media: Path, change: str
    ) -> None:
        data, other = content(LARGE, 7), content(LARGE, 8)
        file = write(media, f"{change}.mp4", data)
        with Client(stalling.base, 100_000) as client:
            response = client.get(f"/media/{change}.mp4")
            client.wait_for_body(response, 1)
            with file.open("r+b") as handle:
                if change == "shrink":
                    handle.truncate(BLOCK)
                else:
                    handle.write(other)
            client.wait(response)
            assert response.reset == INTERNAL_ERROR
            assert not response.ended
            assert data.startswith(response.body)
            file.write_bytes(other)
            again = client.get(f"/media/{change}.mp4", range="bytes=0-9")
            client.wait(again)
            assert again.body == other[:10]
        file.unlink()
        assert stalling.wait_for_log(path=f"/media/{change}.mp4", outcome="changed")


class TestFloods:
    def test_no_more_is_at_work_than_twice_what_may_be_open(self, patient: Server) -> None:
        """Before its bound has come, a client may know none: so the rest is refused, safe to ask
        again (RFC 9113 §8.7), and only who goes on and on is sent away."""
        with Client(patient.base, 0) as client:
            responses = [client.get("/media/large.mp4", flushed=False) for _ in range(250)]
            client.flush()
            client.wait(*responses[200:])
            assert [response.reset for response in responses[200:]] == [REFUSED_STREAM] * 50
            while not all(response.status for response in responses[:200]):
                client.read()
            assert patient.in_progress() == 200
        no_more(patient)
        with Client(patient.base, 0) as client:
            for _ in range(302):
                client.get("/media/large.mp4", flushed=False)
            client.flush()
            client.wait_for_end()
        assert client.goaways[0][1] == ENHANCE_YOUR_CALM
        no_more(patient)

    def test_rapid_resets_are_soon_too_many(self, patient: Server) -> None:
        """CVE-2023-44487."""
        reset = struct.pack(">L", CANCEL)
        before = patient.metric("reelay_requests_total")
        with Client(patient.base) as client:
            flood = client.h2.data_to_send()
            for number in range(1, 20_001, 2):
                fields = client.h2.encoder.encode(request("/media/large.mp4"))
                flood += h2c.frame(h2c.HEADERS, fields, flags=5, stream=number)
                flood += h2c.frame(h2c.RST_STREAM, reset, stream=number)
            with suppress(ConnectionError):
                client.socket.sendall(flood)
                while client.socket.recv(65536):
                    pass
        no_more(patient)
        assert patient.metric("reelay_requests_total") - before <= 1100 + 10  # and the questions

    def test_seeking_often_is_no_flood(self, patient: Server) -> None:
        with Client(patient.base, 1000, taking=False) as client:
            for seek in range(500):
                response = client.get("/media/large.mp4", range=f"bytes={seek * 1000}-")
                while not response.status:
                    client.read()
                assert response.status == 206
                client.h2.reset_stream(client.number(response), CANCEL)
                client.flush()
            assert not client.goaways

    @pytest.mark.parametrize(
        "flood",
        [
            h2c.frame(h2c.PING, bytes(8)),
            h2c.frame(h2c.SETTINGS),
            h2c.frame(h2c.SETTINGS, struct.pack(">HL", 4, 65535)),
        ],
        ids=["pings", "settings", "windows"],
    )
    def test_a_client_that_sends_and_does_not_read_is_not_listened_to(
        self, patient: Server, flood: bytes
    ) -> None:
        before = patient.resident()
        with Client(patient.base, 0) as client:
            client.send(request("/media/large.mp4"), ended=False)
            client.socket.settimeout(2)
            with pytest.raises(TimeoutError):
                client.socket.sendall(flood * 1_000_000)
            assert ask(patient.base, "/healthz").status == 200
            assert patient.resident() - before < 8 * 1024**2
        no_more(patient)


class TestStop:
    def test_what_is_under_way_ends_and_what_comes_before_the_client_knows_is_answered(
        self, media: Path
    ) -> None:
        """RFC 9113 §6.8."""
        with serve(media) as server, Client(server.base, 1000) as client:
            under_way = client.get("/media/large.mp4", range=f"bytes=0-{BLOCK - 1}")
            client.wait_for_body(under_way, 1000)
            client.pings = []
            server.process.send_signal(signal.SIGTERM)
            while not client.goaways:
                client.read()
            asked_before = client.get("/healthz")
            client.wait(asked_before)
            assert asked_before.status == 200
            assert client.goaways == [(ANY_STREAM, NO_ERROR)]
            client.answer_pings()
            while len(client.goaways) < 2:
                client.read()
            last = client.number(asked_before)
            assert client.goaways == [(ANY_STREAM, NO_ERROR), (last, NO_ERROR)]
            refused = client.get("/healthz")
            client.wait(refused)
            assert refused.reset == REFUSED_STREAM
            client.h2.increment_flow_control_window(2 * BLOCK, client.number(under_way))
            client.flush()
            client.wait(under_way)
            assert under_way.body == DATA[:BLOCK]
            client.wait_for_end()
            assert server.ended() == 0
