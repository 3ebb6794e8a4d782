from support.videos import make_video

from service.library.finding_counts import FindingCounts
from service.models import Finding, Metadata


def test_findings_are_counted_and_only_changed_videos_judged_again() -> None:
    judged: list[str] = []

    def judge(path: str, _: Metadata | str | None) -> tuple[Finding, ...]:
        judged.append(path)
        codes = ["clock", "clock", "index_at_end"] if path != "fine.mp4" else []
        return tuple(Finding(code=code, severity="hint", sentence="") for code in codes)

    counts = FindingCounts(judge)
    videos = [make_video("a.mp4"), make_video("b.mp4"), make_video("fine.mp4")]
    found = counts.count(videos)
    assert (found["clock"], found["index_at_end"]) == (2, 2)  # of videos, not of findings
    assert sum(found.values()) == 4
    judged.clear()
    assert (
        counts.count([videos[0], make_video("b.mp4", title="changed"), make_video("new.mp4")])[
            "clock"
        ]
        == 3
    )
    assert judged == ["b.mp4", "new.mp4"]
    assert counts.count([])["clock"] == 0
