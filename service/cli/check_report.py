"""Writes what was found, for people and for programs."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from service.check.advice import advice, products_in
from service.check.results import Problem, Result, State
from service.check.session import Options, Session
from service.check.ways.http1 import Budget

_WIDTHS = (9, 22)  # of the first two columns


def line(result: Result) -> str:
    """Return a result's row of the table."""
    state, check = result.state.ljust(_WIDTHS[0]), result.check.ljust(_WIDTHS[1])
    return f"{state}  {check}  {printable(result.detail)}"


def printable(text: str) -> str:
    """Return a text without what a server could send to control a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def title(session: Session) -> str:
    """Return what is checked."""
    chain = products_in(session.whole.fields)
    seen = f"; the response names {', '.join(chain)}" if chain else ""
    return f"{session.options.url}: {session.size:,} bytes{seen}"


def conclusions(
    results: Sequence[Result], session: Session | None, budget: Budget
) -> Iterator[str]:
    """Return the lines below the table: each problem once, with its cause and settings."""
    for problem in dict.fromkeys(result.problem for result in results):
        if problem is not None:
            yield ""
            yield f"{problem}: usually {advice()[problem].cause}. What to set:"
            for product, setting in _settings(problem, session):
                yield f"  {product}: {setting}."
    yield ""
    counts = {state: sum(result.state == state for result in results) for state in State}
    yield (
        f"{len(results)} checks: "
        + ", ".join(f"{count} {state}" for state, count in counts.items() if count)
        + f". Read {budget.used / 1e6:.1f} MB in {budget.seconds:.1f} s."
    )


def as_json(
    options: Options, results: Sequence[Result], session: Session | None, budget: Budget
) -> str:
    """Return everything as one JSON object."""
    return json.dumps(
        {
            "url": options.url,
            "size": session and session.size,
            "etag": session and session.tag,
            "seed": options.seed,
            "failed": any(result.state == State.FAILED for result in results),
            "bytes_read": budget.used,
            "seconds": round(budget.seconds, 3),
            "results": [_result(result, session) for result in results],
        },
        ensure_ascii=False,
    )


def _result(result: Result, session: Session | None) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "check": result.check,
        "state": result.state,
        "detail": result.detail,
        "problem": result.problem,
    }
    if result.problem is not None:
        entry["cause"] = advice()[result.problem].cause
        entry["settings"] = dict(_settings(result.problem, session))
    return entry


def _settings(problem: Problem, session: Session | None) -> list[tuple[str, str]]:
    """Return the settings, those of the products that the response names first."""
    seen = products_in(session.whole.fields) if session else []
    return sorted(advice()[problem].settings.items(), key=lambda item: item[0] not in seen)
