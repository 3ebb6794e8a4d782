"""Counts the findings of the library for the metrics.

To judge 100,000 videos takes seconds, so they are listed before. The codes are kept in the
database: only videos that have changed are judged again.
"""

from collections import Counter

from service.library.known import KnownLibrary
from service.playability.findings import CODES, Judge

# Videos that are judged at a time, while scans and probes wait.
_AT_A_TIME = 200

_LISTED = "is_listed AND removed IS NULL"
_UNJUDGED = f"SELECT id FROM video WHERE findings IS NULL AND {_LISTED} LIMIT ?"  # noqa: S608

_BY_CODES = (
    "SELECT findings, count(*) FROM video"  # noqa: S608
    f" WHERE findings IS NOT NULL AND {_LISTED} GROUP BY findings"
)


def judge_some(known: KnownLibrary, judge: Judge) -> bool:
    """Judge some videos that have not been; return whether there may be more. Blocks."""
    with known.lock:
        numbers = [number for (number,) in known.database.rows(_UNJUDGED, _AT_A_TIME)]
        judged = []
        for number in numbers:
            (video,) = known.writer.rows.videos_once([number])
            found = judge(video.path, video.metadata or video.problem)
            codes = {finding.code: None for finding in found}
            judged.append((" ".join(codes), number))
        statement = "UPDATE video SET findings = ? WHERE id = ?"
        known.database.write_many(statement, judged)
    return len(numbers) == _AT_A_TIME


def count_findings(known: KnownLibrary) -> dict[str, int]:
    """Return the number of videos by finding. Blocks."""
    with known.lock:
        counts: Counter[str] = Counter()
        for codes, count in known.database.rows(_BY_CODES):
            for code in codes.split():
                counts[code] += count
    return {code: counts[code] for code in CODES}
