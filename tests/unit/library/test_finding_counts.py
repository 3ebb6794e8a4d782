from service.library.finding_counts import FindingCounts
from service.models import Finding, Metadata, ProbeState, Video


def video(path: str, title: str = "") -> Video:
    return Video(
        path=path,
        title=title,
        content_type="video/mp4",
        size=1,
        revision="1-1",
        modified=1.0,
        state=ProbeState.PENDING,
    )


def test_findings_are_counted_and_only_changed_videos_judged_again() -> None:
    judged: list[str] = []

    def judge(path: str, _: Metadata | str | None) -> tuple[Finding, ...]:
        judged.append(path)
        codes = ["clock", "clock", "index_at_end"] if path != "fine.mp4" else []
        return tuple(Finding(code=code, severity="hint", sentence="") for code in codes)

    counts = FindingCounts(judge)
    videos = [video("a.mp4"), video("b.mp4"), video("fine.mp4")]
    found = counts.count(videos)
    assert (found["clock"], found["index_at_end"]) == (2, 2)  # of videos, not of findings
    assert sum(found.values()) == 4
    judged.clear()
    assert counts.count([videos[0], video("b.mp4", "changed"), video("new.mp4")])["clock"] == 3
    assert judged == ["b.mp4", "new.mp4"]
    assert counts.count([])["clock"] == 0
