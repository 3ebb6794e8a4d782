"""The edge's scripts judge tokens and scopes as the vectors say, which the service shares."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.stack import ROOT, docker, require_engine

HERE = Path(__file__).parent
FILE = ROOT / "tests" / "support" / "access_vectors.json"
VECTORS: dict[str, Any] = json.loads(FILE.read_text(encoding="ascii"))
NGINX = (
    "nginx -c /judge/judge.conf && curl --silent --fail --unix-socket /tmp/judge.sock http://judge/"
)

pytestmark = pytest.mark.stack


@cache
def judged(image: str) -> dict[str, Any]:
    """Judge all vectors by the scripts in the edge's image."""
    require_engine()
    mounts = [f"{HERE / name}:/judge/{name}:ro" for name in ("judge.js", "judge.conf")]
    volumes = [
        word for mount in (*mounts, f"{FILE}:/judge/{FILE.name}:ro") for word in ("-v", mount)
    ]
    output = docker("run", "--rm", *volumes, "--entrypoint", "sh", image, "-c", NGINX)
    result: dict[str, Any] = json.loads(output)
    return result


@pytest.mark.parametrize(
    "number", range(len(VECTORS["tokens"])), ids=lambda n: VECTORS["tokens"][n]["name"]
)
def test_a_token_is_judged_as_the_vector_says(edge_image: str, number: int) -> None:
    expected = dict(VECTORS["tokens"][number])
    for field in ("name", "kind", "token"):
        del expected[field]
    assert judged(edge_image)["tokens"][number] == expected


def test_scopes_are_judged_as_the_vectors_say(edge_image: str) -> None:
    scopes = VECTORS["scopes"]
    assert [
        {**scope, "opens": opens}
        for scope, opens in zip(scopes, judged(edge_image)["scopes"], strict=True)
    ] == scopes


def test_keys_are_derived_as_the_vectors_say(edge_image: str) -> None:
    assert judged(edge_image)["derived"] == VECTORS["derived"]
