from pathlib import Path

import pytest
from quart import Quart

from service.composition.app import create_app
from service.errors import StorageError
from service.settings.environment import load

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
async def test_a_server_error_shows_its_request_id_and_a_retry_link(
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


async def test_programs_get_problem_details(app: Quart) -> None:
    answer = await app.test_client().get("/fails")
    assert answer.content_type == "application/problem+json"
    problem = await answer.get_json()
    assert (problem["status"], problem["title"]) == (500, "Internal Server Error")


MEMBERS = ["a/b;q=0.1"] * 23


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        ("text/html", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("*/*", False),
        ("application/problem+json, text/html;q=0.5", False),
        (", ".join(["text/html", *MEMBERS]), True),
        # RFC 9110 §12.5.1: a server may ignore it. No browser sends these.
        (", ".join(["text/html", *MEMBERS, "c/d", "e/f"]), False),
        ("text/html;x=" + "x" * 500, False),
        ("text/html," * 1500, False),
        ("", False),
    ],
)
async def test_clients_that_prefer_html_get_a_page(app: Quart, accept: str, page: bool) -> None:  # noqa: FBT001 # a column of the table
    answer = await app.test_client().get("/nothing", headers={"Accept": accept})
    assert answer.status_code == 404
    assert (answer.mimetype == "text/html") is page


async def test_an_error_page_shortens_long_addresses(app: Quart) -> None:
    answer = await app.test_client().get("/watch/" + "S01E02." * 3000, headers=BROWSER)
    assert answer.status_code == 404
    assert len(await answer.get_data()) < 10_000


async def test_at_most_ten_errors_of_a_query_are_listed(app: Quart) -> None:
    query = "&".join(f"{'x' * 200}{number}=1" for number in range(90))
    answer = await app.test_client().get(f"/api/videos?{query}")
    problem = await answer.get_json()
    assert problem["status"] == 400
    assert problem["detail"].count("Extra inputs") == 10
    assert len(problem["detail"]) < 2000
