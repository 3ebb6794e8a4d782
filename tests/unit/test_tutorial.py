"""The tests of Quart's video tutorial on the sample clip, with Quart's test client.

tests/e2e/default_stack/test_tutorial.py runs them against the stack.
"""

from pathlib import Path

from quart import Quart

from service.composition.app import create_app
from service.settings.environment import load

SAMPLE = Path(__file__).parents[2] / "media" / "sample.mp4"


def app(tmp_path: Path) -> Quart:
    return create_app(
        load({"REELAY_MEDIA": str(SAMPLE.parent), "REELAY_DERIVED": str(tmp_path / "derived")})
    )


async def test_the_whole_clip_is_returned_without_range(tmp_path: Path) -> None:
    response = await app(tmp_path).test_client().get("/media/sample.mp4")
    assert response.status_code == 200
    assert await response.get_data() == SAMPLE.read_bytes()


async def test_801_bytes_are_returned_for_bytes_200_to_1000(tmp_path: Path) -> None:
    client = app(tmp_path).test_client()
    response = await client.get("/media/sample.mp4", headers={"Range": "bytes=200-1000"})
    assert response.status_code == 206
    assert await response.get_data() == SAMPLE.read_bytes()[200:1001]
    assert len(await response.get_data()) == 801


async def test_the_index_page_exists(tmp_path: Path) -> None:
    response = await app(tmp_path).test_client().get("/")
    assert response.status_code == 200
    assert "Library" in await response.get_data(as_text=True)
