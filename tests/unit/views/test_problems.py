from pathlib import Path

import pytest
from quart import Quart

from service.app import create_app
from service.errors import StorageError
from service.settings import load

BROWSER = {"Accept": "text/html,*/*;q=0.8", "X-Request-ID": "that-one"}


@pytest.fixture
def app(tmp_path: Path) -> Quart:
    app = create_app(
        load({"REELAY_MEDIA": str(tmp_path), "REELAY_DERIVED": str(tmp_path / "derived")})
    )

    async def fails() -> str:
        raise RuntimeError("the secret")

    async def waits() -> str:
        raise StorageError("The disk does not answer.")

    app.add_url_rule("/fails", "fails", fails)
    app.add_url_rule("/waits", "waits", waits)
    return app


@pytest.mark.parametrize(
    ("target", "status", "heading"),
    [("/fails", 500, "Something went wrong here"), ("/waits", 503, "Not to be had right now")],
)
async def test_what_goes_wrong_here_can_be_found_in_the_log_and_tried_again(
    app: Quart, target: str, status: int, heading: str
) -> None:
    answer = await app.test_client().get(target, headers=BROWSER)
    page = await answer.get_data(as_text=True)
    assert answer.status_code == status
    assert f"<h1>{heading}</h1>" in page
    assert "that-one" in page
    assert '<a class="button" href="">Try again</a>' in page
    assert "secret" not in page
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]


async def test_programs_get_a_problem_all_the_same(app: Quart) -> None:
    answer = await app.test_client().get("/fails")
    assert answer.content_type == "application/problem+json"
    told = await answer.get_json()
    assert (told["status"], told["title"]) == (500, "Internal Server Error")
