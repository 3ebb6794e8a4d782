"""The `doctor` command, run as a process on real files."""

import contextlib
import io
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import NamedTuple

import pytest
from support.ffmpeg_fixtures import AAC, H264, PICTURE, SOUND, ffmpeg
from support.processes import is_running
from support.server import environment, until

from service.cli.doctor import doctor
from service.playability.findings import findings

ROOT = Path(__file__).parents[2]
DOCTOR = (sys.executable, "-m", "service", "doctor")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a film that plays, one with its moov at the end, and one that does not play."""
    folder = tmp_path_factory.mktemp("films")
    ffmpeg(folder / "good.mp4", *PICTURE, *SOUND, *H264, *AAC, "-movflags", "+faststart")
    ffmpeg(folder / "silent.mkv", *PICTURE, *H264)
    ffmpeg(folder / "divx.mp4", *PICTURE, "-c:v", "mpeg4", "-movflags", "+faststart")
    return folder


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    folder.mkdir()
    return folder


def examine(
    media: Path, *arguments: str | Path, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [*DOCTOR, *arguments],
        env=environment(media, **settings) | {"PYTHONPATH": str(ROOT)},
        cwd=media.parent,
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )


class Done(NamedTuple):
    """What the command has printed."""

    returncode: int
    stdout: str
    stderr: str


def examine_here(media: Path, *arguments: str | Path, **settings: str) -> Done:
    """Run the command in this process, as a new one takes a second to start."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patched,
        contextlib.chdir(media.parent),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        for name in [name for name in os.environ if name.startswith("REELAY_")]:
            patched.delenv(name)
        for name, value in environment(media, **settings).items():
            patched.setenv(name, value)
        try:
            status = doctor([str(argument) for argument in arguments])
        except SystemExit as error:  # argparse has found a wrong argument
            status = int(error.code or 0)
    out.seek(0)
    return Done(status, out.read(), err.getvalue())


def test_findings_in_a_folder_are_printed_below_their_file(films: Path, media: Path) -> None:
    for name in ("b/divx.mp4", "silent.mkv", "good.mp4"):
        (media / name).parent.mkdir(exist_ok=True)
        shutil.copy(films / Path(name).name, media / name)
    (media / ".hidden.mp4").write_text("not served, so not examined")
    (media / "notes.txt").write_text("neither")
    done = examine(media, "media")
    lines = done.stdout.splitlines()
    assert lines[0] == "media/b/divx.mp4"
    assert lines[1].startswith("  unplayable: ")
    assert lines[2].startswith(
        "    ffmpeg -n -f mov -protocol_whitelist file -i ./media/b/divx.mp4 "
    )
    assert lines[3] == "media/silent.mkv"
    assert lines[4].startswith("  warning: ")
    assert lines[5].startswith(
        "    ffmpeg -n -f matroska -protocol_whitelist file -i ./media/silent.mkv "
    )
    assert lines[6:] == [
        "3 examined: 1 will not play, 1 could be better, 1 are fine.",
        "Left out, hidden: the name begins with a dot: 1 file (.hidden.mp4).",
    ]
    assert done.returncode == 1
    assert done.stderr == ""  # no terminal, no progress bar


def test_doctor_exits_with_0_if_everything_plays(films: Path, media: Path) -> None:
    shutil.copy(films / "good.mp4", media)
    shutil.copy(films / "silent.mkv", media)
    done = examine_here(media)  # the configured library
    assert done.returncode == 0
    assert done.stdout.endswith("2 examined: 0 will not play, 1 could be better, 1 are fine.\n")


def test_an_unreadable_file_is_unplayable(media: Path) -> None:
    (media / "text.mp4").write_text("this is no video")
    done = examine_here(media, media / "text.mp4")
    assert done.returncode == 1
    assert "unplayable: This is no video" in done.stdout


def test_a_file_of_another_kind_is_not_examined_but_counted(films: Path, media: Path) -> None:
    shutil.copy(films / "good.mp4", media)
    for number in range(6):
        (media / f"{number}.ts").write_text("export default 1;\n")
    done = examine_here(media, "media")
    assert done.stdout == "1 examined: 0 will not play, 0 could be better, 1 are fine.\n"
    names = "media/0.ts, media/1.ts, media/2.ts, media/3.ts, media/4.ts, …"
    assert done.stderr == f"6 not listed, no video or sound: {names}\n"
    assert done.returncode == 0
    assert examine_here(media, media / "0.ts").returncode == 1  # it was named


def test_what_is_left_out_of_a_file_is_printed(media: Path) -> None:
    metadata = media / "chapters.txt"
    metadata.write_text(
        ";FFMETADATA1\n"
        + "".join(
            f"[CHAPTER]\nTIMEBASE=1/10000\nSTART={n}\nEND={n + 1}\ntitle={n}\n" for n in range(5001)
        )
    )
    ffmpeg(media / "book.mka", *SOUND, "-i", metadata, "-map_metadata", "1", *AAC)
    done = examine_here(media, "media")
    assert "  hint: There are 5001 chapters: only the first 5000 are shown.\n" in done.stdout


def test_doctor_prints_the_same_findings_as_json(films: Path, media: Path) -> None:
    shutil.copy(films / "good.mp4", media)
    (media / "text.mp4").write_text("this is no video")
    done = examine_here(media, "--json", "media")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"path": "media/good.mp4", "findings": []},
        {
            "path": "media/text.mp4",
            "findings": [
                finding.model_dump(mode="json")
                for finding in findings(
                    "media/text.mp4",
                    "This is no video or audio file of a kind that is known here.",
                    1 << 22,
                )
            ],
        },
    ]
    assert done.returncode == 1


def test_doctor_uses_the_configured_block_size(media: Path) -> None:
    # The lossless encoding is at least twice as large as that block.
    lossless = (*PICTURE, "-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv420p")
    film = ffmpeg(media / "large.mp4", *lossless, "-movflags", "+faststart")
    assert film.stat().st_size > 65536
    done = examine_here(media, MAX_PARTIAL_SIZE="64KiB")
    assert "a block holds less than a second" in done.stdout
    assert "a block holds less than a second" not in examine_here(media).stdout


@pytest.mark.parametrize(
    ("name", "word"),
    [("none", "no such file"), ("notes.txt", "ending"), ("empty", "no video")],
)
def test_a_path_without_videos_is_reported(media: Path, name: str, word: str) -> None:
    (media / "notes.txt").write_text("no video")
    (media / "empty").mkdir()
    done = examine_here(media, media / name)
    assert done.returncode == 2
    assert done.stdout == ""
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_library_is_reported(media: Path) -> None:
    done = examine_here(media, MEDIA="/nonexistent")
    assert done.returncode == 2
    assert done.stderr.startswith("REELAY_MEDIA=")


def test_a_file_is_examined_without_a_library(films: Path, media: Path) -> None:
    done = examine_here(media, films / "good.mp4", MEDIA="/nonexistent")
    assert done.returncode == 0


def test_a_terminal_shows_progress_and_ctrl_c_ends_all_processes(films: Path, media: Path) -> None:
    for number in range(2000):
        (media / f"{number}.mp4").hardlink_to(films / "good.mp4")
    terminal, terminal_end = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    process = subprocess.Popen(
        # A shell that starts the tests in the background makes them ignore the signal.
        ["env", "--default-signal=INT", *DOCTOR],
        env=environment(media),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=terminal_end,
    )
    os.close(terminal_end)
    try:
        output = b""
        while b"/2000" not in output:
            output += os.read(terminal, 4096)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        pids: list[str] = until(lambda: children.read_text().split() or None, "it has a worker")
        process.send_signal(signal.SIGINT)
        assert process.wait(300) == 130
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    until(lambda: not any(is_running(int(pid)) for pid in pids) or None, "the workers end")


def test_a_film_for_which_sound_is_made_is_not_called_silent(media: Path) -> None:
    ffmpeg(media / "dts.mkv", *PICTURE, *SOUND, *H264, "-strict", "-2", "-c:a", "dca", "-ac", "2")
    made, unmade = examine_here(media), examine_here(media, SOUND="off")
    assert (made.returncode, unmade.returncode) == (0, 1)
    (line,) = [line for line in made.stdout.splitlines() if "DTS" in line]
    assert line.startswith("  hint: ")
    assert line.endswith("Reelay makes sound that all of them play, at the latest when somebody "
                         "opens the film.")  # fmt: skip
    (line,) = [line for line in unmade.stdout.splitlines() if "DTS" in line]
    assert line == "  unplayable: Browsers do not play DTS sound."
