"""The running service matches `/openapi.json`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from support.raw_http import ask
from support.server import Server, serve, until, write

ROOT = Path(__file__).parents[2]
OPERATIONS = ["/api/next/{path}", "/api/videos", "/api/videos/{path}"]
CONFORMANCE = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    media: Path = tmp_path_factory.mktemp("library") / "media"
    write(media, "sample.mp4", (ROOT / "media/sample.mp4").read_bytes())
    write(media, "series/s1/The.Pilot.mp4", b"no video")
    with serve(media, HOSTS="video.example.org") as running:

        def probed() -> Any:
            videos = json.loads(ask(running.base, "/api/videos").body)["videos"]
            return all(video["state"] != "pending" for video in videos) or None

        until(probed, "all are probed")
        yield running


@pytest.fixture(scope="module")
def description(server: Server) -> Any:
    answer = ask(server.base, "/openapi.json")
    assert answer.status == 200
    return json.loads(answer.body)


def test_only_the_json_interface_is_described(description: Any) -> None:
    assert sorted(description["paths"]) == OPERATIONS
    answers = {
        path: set(operations["get"]["responses"])
        for path, operations in description["paths"].items()
    }
    statuses = {"200", "304", "400", "404", "412", "414", "421", "431", "503"}
    assert answers == dict.fromkeys(OPERATIONS, statuses)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/api/videos", "/api/videos"),
        ("/api/videos/{path}", "/api/videos/sample.mp4"),
        ("/api/next/{path}", "/api/next/sample.mp4"),
    ],
)
def test_the_errors_of_all_operations_are_described(
    server: Server, description: Any, path: str, target: str
) -> None:
    host = {"Host": "video.example.org"}
    requests = {
        400: (target + "?" + "&a=b" * 100, host),
        412: (target, host | {"If-Match": '"other"'}),
        414: (target + "?" + "x" * 24 * 1024, host),
        421: (target, {"Host": "evil.example"}),
        431: (target, host | {f"a{number}": "b" for number in range(200)}),
    }
    described = description["paths"][path]["get"]["responses"]
    for status, (request_target, fields) in requests.items():
        answer = ask(server.base, request_target, fields)
        assert answer.status == status
        assert answer.headers["Content-Type"] in described[str(status)]["content"]
        assert json.loads(answer.body)["status"] == status


@pytest.mark.parametrize(
    ("path", "mode", "expected"),
    [
        ("/api/videos", GenerationMode.POSITIVE, 200),
        ("/api/videos", GenerationMode.NEGATIVE, 400),
        ("/api/videos/{path}", GenerationMode.POSITIVE, 200),
        ("/api/videos/{path}", GenerationMode.POSITIVE, 404),  # any string is a valid path
        ("/api/next/{path}", GenerationMode.POSITIVE, 200),
    ],
    ids=["listings", "wrong listings", "a video", "any video", "what is next"],
)
def test_every_answer_fits_its_description(
    server: Server,
    description: Any,
    path: str,
    mode: GenerationMode,
    expected: int,
) -> None:
    operation = schemathesis.openapi.from_dict(description)[path]["GET"]
    checks = CHECKS.get_by_names(CONFORMANCE)
    seen = set()

    @settings(
        max_examples=60,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def every(case: Any) -> None:
        if case.path_parameters and expected == 200:
            case.path_parameters = {"path": "sample.mp4"}
        answer = case.call_and_validate(base_url=server.base, checks=checks)
        seen.add(answer.status_code)

    every()
    assert expected in seen  # not only errors


def resolved(description: Any, schema: Any) -> Any:
    """Return the target of a schema's reference."""
    if "$ref" in schema:
        return description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def assert_exact(description: Any, schema: Any, value: Any, where: str) -> None:
    """Assert that an object and its members have exactly the properties of their schemas."""
    schema = resolved(description, schema)
    if "anyOf" in schema:
        schema = next(
            (
                resolved(description, option)
                for option in schema["anyOf"]
                if (option.get("type") == "null") == (value is None)
            ),
            None,
        )
    if isinstance(value, dict):
        assert set(value) == set(schema["properties"]) == set(schema["required"]), where
        assert schema["additionalProperties"] is False, where
        for name, inner in value.items():
            assert_exact(description, schema["properties"][name], inner, f"{where}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            assert_exact(description, schema["items"], inner, f"{where}[{number}]")


@pytest.mark.parametrize(
    ("path", "target", "status"),
    [
        ("/api/videos", "/api/videos", 200),
        ("/api/videos", "/api/videos?folder=", 200),
        ("/api/videos", "/api/videos?limit=0", 400),
        ("/api/videos", "/api/videos?folder=nowhere", 404),
        ("/api/videos/{path}", "/api/videos/sample.mp4", 200),
        ("/api/videos/{path}", "/api/videos/series/s1/The.Pilot.mp4", 200),
        ("/api/videos/{path}", "/api/videos/missing.mp4", 404),
    ],
)
def test_a_response_has_exactly_the_properties_of_its_schema(
    server: Server, description: Any, path: str, target: str, status: int
) -> None:
    answer = ask(server.base, target)
    assert answer.status == status
    content = description["paths"][path]["get"]["responses"][str(status)]["content"]
    schema = content[answer.headers["Content-Type"]]["schema"]
    assert_exact(description, schema, json.loads(answer.body), target)


@pytest.mark.parametrize("target", ["/api/videos", "/api/videos/sample.mp4"])
def test_other_methods_get_405_with_the_allowed_ones(
    server: Server, description: Any, target: str
) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE"):
        answer = ask(server.base, target, method=method)
        assert answer.status == 405
        # RFC 9110 §15.5.6
        assert {name.strip() for name in answer.headers["Allow"].split(",")} >= {"GET", "HEAD"}
        problem = description["components"]["schemas"]["Problem"]
        assert set(json.loads(answer.body)) == set(problem["required"])
