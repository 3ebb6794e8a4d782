"""Sessions, and how the state is followed."""

import asyncio
import errno
import re
import stat
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

from service.access import control as module
from service.access.control import AccessControl, is_old, sign_out_everywhere
from service.access.grants import Scope
from service.access.links import list_links, make_link, revoke
from service.access.state import FolderState
from service.access.tokens import TokenState

EDGE = Path(__file__).parents[3] / "nginx/templates/edge.conf.template"
NOW = 1_800_000_000
DAY = 86400


@pytest.fixture
def state(tmp_path: Path) -> FolderState:
    return FolderState(tmp_path / "state")


@pytest.fixture
def control(state: FolderState) -> AccessControl:
    return AccessControl(state, b"m" * 32)


def test_a_session_lasts_thirty_days_after_its_last_renewal(control: AccessControl) -> None:
    session = control.session(control.new_session("ada", NOW), NOW)
    assert session
    assert session.subject == "sada"
    assert session.expiry == NOW + 30 * DAY
    assert not is_old(session, NOW + DAY - 1)
    assert is_old(session, NOW + DAY + 1)
    renewed = control.session(control.renew(session, NOW + 2 * DAY), NOW + 31 * DAY)
    assert renewed
    assert (renewed.id, renewed.subject) == (session.id, session.subject)
    assert control.session(control.new_session("ada", NOW), NOW + 31 * DAY) is None


async def test_signing_out_ends_all_copies_of_a_session(
    control: AccessControl, state: FolderState
) -> None:
    text, other = control.new_session("ada", NOW), control.new_session("ada", NOW)
    session = control.session(text, NOW)
    assert session
    renewed = control.renew(session, NOW + 2 * DAY)
    await control.sign_out(session)
    replica = AccessControl(state, b"m" * 32)
    replica.load()
    for one in (control, replica):
        assert one.session(text, NOW) is None
        assert one.session(renewed, NOW) is None
        assert one.session(other, NOW) is not None


def test_signing_out_everywhere_ends_sessions_and_keeps_links(
    control: AccessControl, state: FolderState
) -> None:
    session = control.new_session("", NOW)
    link = control.sign_link(make_link(state, Scope("folder", ""), 0).token)
    sign_out_everywhere(state)
    control.load()
    assert control.session(session, NOW) is None
    assert control.session(control.new_session("", NOW), NOW)
    assert not isinstance(control.link_grant(link, NOW), TokenState)


def test_what_a_browser_keeps_for_minutes_is_no_session(control: AccessControl) -> None:
    text = control.sign_for_minutes("state nonce verifier /", NOW)
    assert control.signed_for_minutes(text, NOW + 600) == "state nonce verifier /"
    assert control.signed_for_minutes(text, NOW + 601) is None
    assert control.session(text, NOW) is None
    assert control.signed_for_minutes(control.new_session("x", NOW), NOW) is None


@pytest.fixture
async def following(
    control: AccessControl, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[AsyncGenerator[None]]:
    """Yield the loop that reads the state, without its pauses."""

    async def sleep(_seconds: float) -> None:
        return

    monkeypatch.setattr("service.access.control.sleep", sleep)
    async with aclosing(control.keep_current()) as loop:
        yield loop


def test_what_is_taken_back_opens_nothing_after_ten_seconds() -> None:
    """The service reads the state at an interval, and each edge asks the service at another."""
    edge = re.search(r"js_periodic access_state\.refresh interval=(\d+)s;", EDGE.read_text())
    assert edge
    assert module._REFRESH_INTERVAL + int(edge[1]) < 10  # noqa: SLF001


async def test_the_use_of_a_link_is_written_once_in_ten_minutes(
    control: AccessControl, state: FolderState, following: AsyncGenerator[None]
) -> None:
    link = make_link(state, Scope("folder", ""), 0)
    text = control.sign_link(link.token)
    assert list_links(state, NOW)[0].used is None
    for at, written in [(NOW, NOW), (NOW + 599, NOW), (NOW + 601, NOW + 601)]:
        control.link_grant(text, at)
        await anext(following)
        assert list_links(state, NOW)[0].used == written


async def test_what_is_taken_back_applies_although_the_state_cannot_be_written(
    control: AccessControl,
    state: FolderState,
    following: AsyncGenerator[None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def delete(_state: FolderState, _name: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(FolderState, "delete", delete)
    link = make_link(state, Scope("folder", ""), 0)
    state.write(f"revoked/{'a' * 16}", b"1")  # ended in 1970: would be removed
    revoke(state, link.id)
    await anext(following)
    assert control.link_grant(control.sign_link(link.token), NOW) is TokenState.REVOKED


async def test_a_lost_state_opens_nothing_again(
    control: AccessControl,
    state: FolderState,
    following: AsyncGenerator[None],
    tmp_path: Path,
) -> None:
    old_session = control.new_session("", NOW)
    link = make_link(state, Scope("folder", ""), 0)
    revoke(state, link.id)
    sign_out_everywhere(state)
    await anext(following)
    (tmp_path / "state").rename(tmp_path / "away")
    (tmp_path / "state").mkdir()  # as where a volume is not mounted
    await anext(following)
    assert control.link_grant(control.sign_link(link.token), NOW) is TokenState.REVOKED
    assert control.session(old_session, NOW) is None
    newer = make_link(state, Scope("folder", ""), 0)
    revoke(state, newer.id)
    await anext(following)
    assert control.link_grant(control.sign_link(newer.token), NOW) is TokenState.REVOKED


def test_what_is_taken_back_during_a_reading_stays_so(
    control: AccessControl, state: FolderState, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = make_link(state, Scope("folder", ""), 0)

    def read_generation(_state: FolderState) -> int:  # after what was taken back was read
        asyncio.run(control.revoke_link(link.id))
        return 0

    monkeypatch.setattr("service.access.control.read_generation", read_generation)
    control.load()
    assert control.link_grant(control.sign_link(link.token), NOW) is TokenState.REVOKED


def test_what_ended_long_ago_is_forgotten(control: AccessControl, state: FolderState) -> None:
    state.write(f"revoked/{'a' * 16}", b"1")
    control.load()
    state.delete(f"revoked/{'a' * 16}")
    control.load()
    assert control.revoked == {}


async def test_a_state_that_fails_is_read_again(
    control: AccessControl,
    state: FolderState,
    following: AsyncGenerator[None],
    tmp_path: Path,
) -> None:
    link = make_link(state, Scope("folder", ""), 0)
    text = control.sign_link(link.token)
    await anext(following)
    (tmp_path / "state").rename(tmp_path / "away")
    (tmp_path / "state").write_bytes(b"")  # no folder: reading fails
    await anext(following)
    assert not isinstance(control.link_grant(text, NOW), TokenState)
    (tmp_path / "state").unlink()
    (tmp_path / "away").rename(tmp_path / "state")
    revoke(state, link.id)
    await anext(following)
    assert control.link_grant(text, NOW) is TokenState.REVOKED
    assert stat.S_ISDIR((tmp_path / "state").stat().st_mode)
