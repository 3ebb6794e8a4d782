"""Certificate renewal with a stand-in for certbot."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import renew

ENVIRONMENT = {
    "REELAY_HOSTNAME": "video.example.test",
    "REELAY_ACME_SERVER": "https://acme.example.test/directory",
}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> renew.Settings:
    """Create folders and a certbot stand-in that issues a pair named "one"."""
    for name in ("bin", "tls", "challenges", "state"):
        (tmp_path / name).mkdir()
    settings = replace(
        renew.load(ENVIRONMENT),
        authorities=tmp_path / "authorities.pem",
        tls=tmp_path / "tls",
        challenges=tmp_path / "challenges",
        scratch=tmp_path / "scratch",
        state=tmp_path / "state",
        healthy=tmp_path / "healthy",
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    certbot(settings, "one")
    return settings


def certbot(settings: renew.Settings, pair: str | None) -> None:
    """Make certbot's next runs store this pair, or fail if it is None."""
    lines = ["#!/bin/sh", "set -e", f'printf "%s\\n" "$@" >{settings.state}/arguments']
    if pair is None:
        lines += ["echo 'Some challenges', 'have failed.'", "exit 1"]
    else:
        lines += [f"mkdir -p '{settings.lineage}'", f"cd '{settings.lineage}'"]
        lines += [f"echo {pair} >{name}" for name in (renew.CHAIN, renew.KEY)]
    program = settings.state.parent / "bin" / "certbot"
    program.write_text("\n".join([*lines, ""]))
    program.chmod(0o755)


def self_signed(folder: Path, subject: str) -> None:
    """Store a self-signed pair and the edge's mark in the folder that the edge reads."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-noenc", "-subj", subject, "-keyout", folder / renew.KEY, "-out", folder / renew.CHAIN],
        check=True, capture_output=True,
    )  # fmt: skip
    (folder / renew.MADE_BY_THE_EDGE).write_text("localhost")


def read(settings: renew.Settings) -> list[str]:
    return [(settings.tls / name).read_text().strip() for name in (renew.CHAIN, renew.KEY)]


def test_the_first_certificate_replaces_that_of_the_edge(settings: renew.Settings) -> None:
    self_signed(settings.tls, "/CN=Reelay")
    assert renew.check(settings)
    assert read(settings) == ["one", "one"]
    assert not (settings.tls / renew.MADE_BY_THE_EDGE).exists()
    assert settings.healthy.exists()
    key = (settings.tls / renew.KEY).resolve()
    assert key.parent.stat().st_mode & 0o077 == 0


def test_a_renewal_removes_the_previous_pair(
    settings: renew.Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    for pair in ("one", "one", "two"):
        certbot(settings, pair)
        assert renew.check(settings)
    assert read(settings) == ["two", "two"]
    assert len(list(settings.tls.iterdir())) == 4  # two files, the current link, and its folder
    events = [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]
    assert events == ["certificate_published", "certificate_not_due", "certificate_published"]


def test_readers_always_see_a_matching_pair(settings: renew.Settings) -> None:
    """A reader resolves the link once; both files in a folder always belong to one pair."""
    renew.check(settings)
    done = threading.Event()
    pairs: set[tuple[str, ...]] = set()

    def read_pairs() -> None:
        while not done.is_set():
            try:
                folder = (settings.tls / renew.CURRENT).resolve()
                pairs.add(tuple((folder / n).read_text() for n in (renew.CHAIN, renew.KEY)))
            except FileNotFoundError:
                pass  # removed between both reads: nginx would retry

    reader = threading.Thread(target=read_pairs)
    reader.start()
    for number in range(50):
        for name in (renew.CHAIN, renew.KEY):
            (settings.lineage / name).write_text(str(number))
        assert renew.publish(settings)
    done.set()
    reader.join()
    assert pairs
    assert all(chain == key for chain, key in pairs)


def test_a_certificate_of_the_operator_is_not_replaced(
    settings: renew.Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    self_signed(settings.tls, "/CN=video.example.test")
    before = read(settings)
    assert not renew.check(settings)
    assert read(settings) == before
    assert "from elsewhere" in capsys.readouterr().out
    assert not (settings.state / "arguments").exists()  # none is requested either


def test_the_certificate_is_kept_when_a_renewal_fails(
    settings: renew.Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert renew.check(settings)
    certbot(settings, None)
    assert not renew.check(settings)
    assert "Some challenges, have failed." in capsys.readouterr().out
    assert read(settings) == ["one", "one"]
    assert not settings.healthy.exists()


def test_the_next_check_completes_an_interrupted_publication(settings: renew.Settings) -> None:
    renew.check(settings)
    (settings.tls / renew.KEY).unlink()
    assert renew.check(settings)
    (settings.tls / renew.CURRENT).unlink()
    assert renew.check(settings)
    assert read(settings) == ["one", "one"]


def test_each_acme_server_has_its_own_folders(settings: renew.Settings) -> None:
    other = replace(settings, server="https://acme.example.test/another")
    assert settings.lineage != other.lineage
    assert "/" not in str(other.account.relative_to(other.state))


def test_certbot_gets_an_email_address_only_if_one_is_set(settings: renew.Settings) -> None:
    renew.check(settings)
    arguments = (settings.state / "arguments").read_text().splitlines()
    assert "--register-unsafely-without-email" in arguments
    renew.check(replace(settings, email="me@example.test"))
    arguments = (settings.state / "arguments").read_text().splitlines()
    assert arguments[arguments.index("--email") + 1] == "me@example.test"


def test_a_stop_lets_certbot_clean_up(settings: renew.Settings) -> None:
    program = settings.state.parent / "bin" / "certbot"
    note = settings.state / "tidied-up"
    # Certbot sends the signal itself, so that it arrives while certbot runs.
    program.write_text(
        f"#!/bin/sh\ntrap 'touch {note}; exit 1' TERM\nkill -TERM $PPID\n"
        "while :; do sleep 0.1; done\n"
    )
    before = signal.signal(signal.SIGTERM, renew.stop)
    try:
        assert not renew.check(settings)
    finally:
        signal.signal(signal.SIGTERM, before)
        renew.stopping.clear()
    assert note.exists()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REELAY_HOSTNAME", "localhost"),
        ("REELAY_HOSTNAME", ""),
        ("REELAY_HOSTNAME", "192.0.2.1"),
        ("REELAY_HOSTNAME", "-a.example"),
        ("REELAY_HOSTNAME", "../../a.example"),
        ("REELAY_HOSTNAME", f"{'a' * 64}.example"),
        ("REELAY_HOSTNAME", f"{'a.' * 127}example"),
        ("REELAY_HOSTNAME", "a.example\n"),
        ("REELAY_ACME_SERVER", "http://acme.example.test/directory"),
        ("REELAY_ACME_SERVER", ""),
        ("REELAY_ACME_INTERVAL", "0"),
        ("REELAY_ACME_INTERVAL", "12h"),
    ],
)
def test_an_invalid_setting_ends_the_process_with_a_line_that_names_it(
    variable: str, value: str
) -> None:
    done = subprocess.run(
        [sys.executable, renew.__file__],
        env={**os.environ, **ENVIRONMENT, variable: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"{variable}=")
    assert done.stderr.count("\n") == 1


def test_checks_are_repeated_until_a_stop_signal(settings: renew.Settings, tmp_path: Path) -> None:
    """Without access to its folders every check fails, but the process continues."""
    with subprocess.Popen(
        [sys.executable, renew.__file__],
        env={**os.environ, **ENVIRONMENT, "REELAY_ACME_INTERVAL": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        for _ in range(2):
            assert "certificate_check_failed" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(300) == 0
