import pytest

from service.listing.recognition import is_media
from service.models import Metadata
from service.probing.prober import ProbeFailure

TEXT = ProbeFailure("No media.", "failed", known_format=False)
DAMAGED = ProbeFailure("Damaged.", "failed")
HUNG = ProbeFailure("It took too long.", "timeout", lasting=False)


def probed(container: str) -> Metadata:
    return Metadata(container=container, duration=1.0, bit_rate=1, streams=())


@pytest.mark.parametrize("result", [None, TEXT, DAMAGED, HUNG, probed("mp3")])
def test_a_file_with_an_extension_of_media_alone_is_always_listed(
    result: Metadata | ProbeFailure | None,
) -> None:
    assert is_media("a.mp4", result)


@pytest.mark.parametrize(
    ("result", "listed"),
    [
        (None, False),  # it would vanish again
        (TEXT, False),
        (DAMAGED, True),
        (HUNG, True),
        (probed("mpegts"), True),
        (probed("mov,mp4,m4a"), True),  # another container under this name
        (probed("mp3"), False),  # has no header: any bytes may look like it
        (probed("h264"), False),
    ],
)
def test_a_file_with_a_shared_extension_is_listed_if_it_proves_to_be_media(
    result: Metadata | ProbeFailure | None,
    listed: bool,  # noqa: FBT001 # a column of the table
) -> None:
    assert is_media("a.ts", result) is listed


@pytest.mark.parametrize(
    ("name", "container"), [("a.264", "h264"), ("a.DTS", "dts"), ("a.dv", "dv"), ("a.obu", "obu")]
)
def test_a_format_without_a_header_is_listed_under_its_own_extension(
    name: str, container: str
) -> None:
    assert is_media(name, probed(container))
    assert not is_media(name, probed("mp3"))
