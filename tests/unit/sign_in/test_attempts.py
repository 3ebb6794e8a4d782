"""How often somebody may try to sign in."""

import asyncio

import pytest

from service.sign_in.attempts import MAX_FAILURES, WINDOW, SignInAttempts


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def attempts(clock: Clock) -> SignInAttempts:
    return SignInAttempts(clock)


def fail(attempts: SignInAttempts, address: str, times: int = MAX_FAILURES) -> None:
    for _ in range(times):
        attempts.record_failure(address)


async def test_an_address_with_many_failures_waits(attempts: SignInAttempts, clock: Clock) -> None:
    fail(attempts, "192.0.2.1", MAX_FAILURES - 1)
    assert await attempts.admit("192.0.2.1")
    attempts.record_failure("192.0.2.1")
    assert not await attempts.admit("192.0.2.1")
    assert await attempts.admit("192.0.2.2")
    clock.now = WINDOW + 1
    assert await attempts.admit("192.0.2.1")


async def test_the_right_password_ends_the_count(attempts: SignInAttempts) -> None:
    fail(attempts, "192.0.2.1", MAX_FAILURES - 1)
    attempts.record_success("192.0.2.1")
    attempts.record_failure("192.0.2.1")
    assert await attempts.admit("192.0.2.1")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),  # one /64
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("", "", True),
        ("unix:", "unix:", True),
    ],
)
async def test_what_counts_as_one_address(
    attempts: SignInAttempts,
    one: str,
    other: str,
    same: bool,  # noqa: FBT001
) -> None:
    fail(attempts, one)
    assert await attempts.admit(other) != same


async def test_attempts_wait_in_turn_after_many_failures(
    attempts: SignInAttempts, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("asyncio.sleep", sleep)
    for number in range(19):
        attempts.record_failure(f"192.0.2.{number}")
    assert await attempts.admit("203.0.113.1")
    assert waits == []
    attempts.record_failure("198.51.100.1")
    assert await attempts.admit("203.0.113.1")
    assert waits == [1.0]
    clock.now = 61
    assert await attempts.admit("203.0.113.1")
    assert waits == [1.0]


async def test_attempts_at_the_same_time_are_no_more_than_one_after_another(
    attempts: SignInAttempts, monkeypatch: pytest.MonkeyPatch
) -> None:
    pause, waits = asyncio.sleep, 0

    async def sleep(_seconds: float) -> None:
        nonlocal waits
        waits += 1
        await pause(0)

    monkeypatch.setattr("asyncio.sleep", sleep)
    for number in range(20):
        attempts.record_failure(f"192.0.2.{number}")
    tried = 0

    async def attempt() -> None:
        nonlocal tried
        if await attempts.admit("198.51.100.1"):
            tried += 1
            attempts.record_failure("198.51.100.1")

    await asyncio.gather(*(attempt() for _ in range(3 * MAX_FAILURES)))
    assert tried == MAX_FAILURES
    assert waits == MAX_FAILURES  # nobody else waits for more
