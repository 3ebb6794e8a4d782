"""What the page says of a file by its tags."""

import pytest

from service.models import Metadata, ProbeState, Tag, Video
from service.pages.description import MAX_DESCRIPTION, describe


def tagged(title: str = "Film", **tags: str) -> Video:
    metadata = Metadata(
        container="mp4",
        duration=None,
        bit_rate=None,
        index_at_front=None,
        streams=(),
        tags=tuple(Tag(name=name, text=text) for name, text in tags.items()),
    )
    return Video.model_construct(
        path="film.mp4", title=title, state=ProbeState.PROBED, metadata=metadata
    )


@pytest.mark.parametrize(
    ("tags", "text", "rows"),
    [
        ({}, "", ()),
        (
            {"description": "A short one.", "synopsis": "A long one.", "artist": "Ada"},
            "A short one.",
            (("Artist", "Ada"),),
        ),
        ({"album_artist": "Ada", "artist": " "}, "", (("Artist", "Ada"),)),
        ({"comment": "Film", "show": "Film"}, "", ()),  # both are the title
        ({"comment": "Ada", "artist": "Ada"}, "", (("Artist", "Ada"),)),
        (
            {"genre": "Drama", "album": "Live", "encoder": "Lavf"},
            "",
            (("Album", "Live"), ("Genre", "Drama")),
        ),
    ],
)
def test_a_text_and_rows_are_made_of_the_tags(
    tags: dict[str, str], text: str, rows: tuple[tuple[str, str], ...]
) -> None:
    description = describe(tagged(**tags))
    assert (description.text, description.rows) == (text, rows)


def test_a_long_description_is_cut() -> None:
    text = describe(tagged(description="word " * MAX_DESCRIPTION)).text
    assert len(text) <= MAX_DESCRIPTION + 2
    assert text.endswith("word …")


def test_a_file_that_is_not_probed_has_none() -> None:
    video = tagged().model_copy(update={"metadata": None})
    assert describe(video).rows == ()
