"""The commands `share` and `sign-out-everywhere`, run as processes beside the real service."""

import contextlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.access import PASSWORD, cookie_of, make_library, sign_in
from support.raw_http import ask
from support.server import Server, environment, serve, until

from service.cli.share import share

ROOT = Path(__file__).parents[2]
FILM = "Animals/quokka.mp4"
HTML = {"Accept": "text/html"}


class Done(NamedTuple):
    """What a command has printed."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Shell:
    """Runs commands with the settings of the service."""

    media: Path
    state: Path

    def environment(self, **settings: str) -> dict[str, str]:
        return environment(self.media, PASSWORD=PASSWORD, STATE=str(self.state), **settings)

    def run(self, *arguments: str, **settings: str) -> Done:
        """Run the command in this process, as a new one takes a second to start."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment(**settings).items():
                patch.setenv(name, value)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    status = share(arguments)
                except SystemExit as error:  # argparse has found a wrong argument
                    status = int(error.code or 0)
        return Done(status, out.getvalue(), err.getvalue())

    def share(self, *arguments: str) -> str:
        """Make a link; return what is printed."""
        done = self.run(*arguments)
        assert done.status == 0, done.stderr
        return done.stdout.rstrip("\n")

    def listed(self, target: str) -> dict[str, Any]:
        """Return the listed link of a path."""
        links = map(json.loads, self.run("list", "--json").stdout.splitlines())
        (link,) = [link for link in links if link["url"] == target]
        return dict(link)

    def run_process(
        self, *arguments: str, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "service", *arguments],
            env=self.environment() | {"PYTHONPATH": str(ROOT)},
            cwd=cwd or self.media.parent,
            check=False,
            capture_output=True,
            text=True,
            timeout=600,
        )


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    media = tmp_path_factory.mktemp("command") / "media"
    media.mkdir()
    make_library(media)
    return Shell(media, tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def server(shell: Shell) -> Iterator[Server]:
    with serve(shell.media, PASSWORD=PASSWORD, STATE=str(shell.state)) as server:
        yield server


def test_a_link_opens_what_the_command_names(shell: Shell, server: Server) -> None:
    target = shell.share(FILM, "--at", "1:10", "--for", "1d", "--no-downloads")
    answer = ask(server.base, target, HTML)
    assert answer.headers["Location"].endswith(f"/watch/{FILM}?t=70")
    prefix = target.partition("?")[0]
    assert ask(server.base, f"{prefix}/download/{FILM}").status == 403
    assert ask(server.base, f"{shell.share('Animals')}/watch/{FILM}").status == 200
    assert ask(server.base, f"{shell.share('.')}/watch/Secrets/pangolin.mp4").status == 200


def test_a_path_is_of_the_library_or_of_the_file_system(shell: Shell, server: Server) -> None:
    for path in (FILM, f"./{FILM}", f"Animals/../{FILM}", str(shell.media / FILM)):
        prefix = shell.share(path)
        assert ask(server.base, f"{prefix}/watch/{FILM}").status == 200
        assert ask(server.base, f"{prefix}/watch/Animals/quokka%202.mp4").status == 404
    done = shell.run_process("share", "narwhal.mp4", cwd=shell.media / "Animals" / "Sea")
    assert ask(server.base, f"{done.stdout.strip()}/watch/Animals/Sea/narwhal.mp4").status == 200


def test_an_unknown_path_is_named(shell: Shell) -> None:
    (shell.media / "notes.txt").write_text("no video", encoding="utf-8")
    (shell.media / "Empty").mkdir(exist_ok=True)
    for path in ("nope.mp4", "Empty", "notes.txt", "Anim", "/", "../state", str(shell.state)):
        done = shell.run(path)
        assert (done.status, done.stdout) == (1, ""), path
        assert done.stderr.startswith(f"{path}: there is no video or folder")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((FILM, "--for", "soon"), "'soon' is no duration"),
        ((FILM, "--at", "later"), "'later' is no time"),
        (("Animals", "--at", "5"), "Animals is a folder"),
        ((FILM, "--base", "video.example.org"), "does not begin with https://"),
        ((), "required: PATH"),
        (("revoke",), "required: ID"),
    ],
)
def test_a_wrong_argument_is_named(shell: Shell, arguments: tuple[str, ...], message: str) -> None:
    done = shell.run(*arguments)
    assert (done.status, done.stdout) == (2, "")
    assert message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "host", "port", "beginning"),
    [
        ((), "", "", "/s/1."),
        ((), "video.example", "", "https://video.example/s/1."),
        ((), "video.example", "443", "https://video.example/s/1."),
        ((), "video.example", "8443", "https://video.example:8443/s/1."),
        (("--base", "http://nas:8000/"), "video.example", "443", "http://nas:8000/s/1."),
    ],
)
def test_the_whole_url_is_printed_where_it_is_known(
    shell: Shell, arguments: tuple[str, ...], host: str, port: str, beginning: str
) -> None:
    done = shell.run(FILM, *arguments, HOSTNAME=host, HTTPS_PORT=port)
    assert done.stdout.startswith(beginning)


def test_links_are_listed_and_taken_back(shell: Shell, server: Server) -> None:
    target = shell.share(FILM, "--for", "forever")
    assert ask(server.base, f"{target}/watch/{FILM}").status == 200
    link = shell.listed(target)
    assert (link["kind"], link["path"], link["expires"]) == ("video", FILM, None)
    assert (link["works"], link["revoked"], link["downloads"]) == (True, None, True)
    assert link["made"] == pytest.approx(time.time(), abs=60)
    assert f"{link['id']}  no end" in shell.run("list").stdout

    done = shell.run("revoke", link["id"])
    assert (done.status, done.stderr) == (0, "")
    until(
        lambda: ask(server.base, f"{target}/watch/{FILM}").status == 410 or None,
        "the link opens nothing",
    )
    assert not shell.listed(target)["works"]
    done = shell.run("revoke", "A" * 16)
    assert done.status == 1
    assert done.stderr.startswith(f"{'A' * 16}: there is no record of such a link.")


def test_a_link_whose_file_is_damaged_is_taken_back_by_its_id(shell: Shell, server: Server) -> None:
    target = shell.share("Animals")
    link_id = shell.listed(target)["id"]
    (shell.state / "links" / f"{link_id}.json").write_bytes(b"{")
    assert ask(server.base, f"{target}/").status == 200
    assert shell.run("revoke", link_id).status == 1
    until(lambda: ask(server.base, f"{target}/").status == 410, "it opens nothing")


def test_everybody_is_signed_out_and_links_stay(shell: Shell, server: Server) -> None:
    target = shell.share("Animals")
    cookie = {"Cookie": cookie_of(sign_in(server.base))}
    assert ask(server.base, "/", cookie).status == 200
    done = shell.run_process("sign-out-everywhere")
    assert done.returncode == 0
    until(lambda: ask(server.base, "/", cookie).status == 401 or None, "signed out")
    assert ask(server.base, f"{target}/", HTML).status == 200
    assert ask(server.base, "/", {"Cookie": cookie_of(sign_in(server.base))}).status == 200


@pytest.mark.parametrize("arguments", [(FILM,), ("list",), ("revoke", "A" * 16)])
def test_without_access_control_there_is_nothing_to_share(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
) -> None:  # fmt: skip
    for name, value in environment(shell.media).items():
        monkeypatch.setenv(name, value)
    assert share(arguments) == 2
    assert "REELAY_PASSWORD" in capsys.readouterr().err
