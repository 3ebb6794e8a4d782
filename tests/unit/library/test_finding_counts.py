from service.library.files import match_files
from service.library.finding_counts import count_findings, judge_some
from service.library.known import open_known
from service.library.results import Key, ProbeRecord
from service.library.scan import Scan, ScannedFolder
from service.models import Finding, Metadata
from service.storage.base import Entry

KNOWN = Metadata(container="mp4", duration=1.0, bit_rate=None, streams=())


def test_findings_are_counted_and_only_changed_videos_judged_again() -> None:
    judged: list[str] = []

    def judge(path: str, _: Metadata | str | None) -> tuple[Finding, ...]:
        judged.append(path)
        codes = ["clock", "clock", "index_at_end"] if path != "fine.mp4" else []
        return tuple(Finding(code=code, severity="hint", sentence="") for code in codes)

    known = open_known(None, "")

    def count(*names: str, revision: str = "1-1") -> dict[str, int]:
        entries = [Entry(name, 1, revision if name == "b.mp4" else "1-1", 1, 1) for name in names]
        scan = Scan({"": ScannedFolder(b"", tuple(entries), {})}, {"": match_files("", entries)})
        results: dict[Key, ProbeRecord] = {
            (entry.path, entry.revision): ProbeRecord(KNOWN, 1, 0) for entry in entries
        }
        known.update(scan, results)
        while judge_some(known, judge):
            pass
        return count_findings(known)

    found = count("a.mp4", "b.mp4", "fine.mp4")
    assert (found["clock"], found["index_at_end"]) == (2, 2)  # of videos, not of findings
    assert sum(found.values()) == 4
    judged.clear()
    assert count("a.mp4", "b.mp4", "new.mp4", revision="2-2")["clock"] == 3
    assert sorted(judged) == ["b.mp4", "new.mp4"]
    assert count()["clock"] == 0
    known.close()
