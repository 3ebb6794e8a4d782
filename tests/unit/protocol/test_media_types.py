import pytest

from service.protocol.media_types import (
    is_accepted_by_browsers,
    is_shared_extension,
    media_type,
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.MP4", "video/mp4"),
        ("a/b.m4b", "audio/mp4"),
        ("a.3gp", "video/3gpp"),  # RFC 6381
        ("a.3g2", "video/3gpp2"),
        ("a.avi", "video/vnd.avi"),  # RFC 2361
        ("a.mxf", "application/mxf"),  # RFC 4539
        ("a.vob", "video/mpeg"),  # RFC 2045
        ("a.dvr-ms", "application/vnd.ms-asf"),
        ("a.mts", "video/mp2t"),
        ("a.ISMV", "video/mp4"),  # MS-SSTR §2.2.4: fragmented MP4
        ("a.mj2", "video/mj2"),  # RFC 3745
        ("a.rec", "video/mp2t"),  # of receivers with a disk
        ("a.wm", "video/x-ms-wm"),
        ("a.dav", "video/x-dav"),  # of surveillance cameras
        ("a.dat", None),  # on a Video CD, but most others are no videos
        ("a.txt", None),
        (".mp4", None),
        ("mp4", None),
        ("a.mp4.part", None),
    ],
)
def test_the_media_type_follows_from_the_extension(name: str, expected: str | None) -> None:
    assert media_type(name) == expected


@pytest.mark.parametrize(
    ("extension", "shared"),
    [("ts", True), ("MTS", True), ("mod", True), ("rec", True), ("mp4", False)],
)
def test_some_extensions_are_of_other_files_too(extension: str, *, shared: bool) -> None:
    assert is_shared_extension(f"folder.ts/a.{extension}") is shared


def test_a_type_that_one_browser_refuses_is_not_named_to_any() -> None:
    assert is_accepted_by_browsers("video/mp4")
    for refused in ("video/quicktime", "video/3gpp", "video/ogg", "video/mp2t", "video/vnd.avi"):
        assert not is_accepted_by_browsers(refused)
