import pytest
from support.http_contract import Origin
from support.server import write
from support.stack import ROOT

pytestmark = pytest.mark.stack
SAMPLE = (ROOT / "media" / "sample.mp4").read_bytes()


def test_the_requests_of_the_tutorial_get_its_answers(origin: Origin) -> None:
    write(origin.media, "clip.mp4", SAMPLE)
    whole = origin.get("/media/clip.mp4")
    assert (whole.status, len(whole.body)) == (200, len(SAMPLE))
    part = origin.get("/media/clip.mp4", Range="bytes=200-1000")
    assert (part.status, len(part.body)) == (206, 801)
    assert part.body == SAMPLE[200:1001]
