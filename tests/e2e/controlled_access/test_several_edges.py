"""Several edges of a library that is not open share blocks, and know what was taken back."""

from collections.abc import Iterator

import pytest
from support.access import PASSWORD
from support.edges import Edge, EdgeCluster, edge_cluster
from support.raw_http import Answer, ask
from support.server import BLOCK, content, until, write
from support.shared_links import KeyHolder, media

pytestmark = [pytest.mark.slow, pytest.mark.stack]

FILM = "Films/several.mp4"
DATA = content(2 * BLOCK, 20)
RANGE = {"Range": "bytes=0-"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeCluster]:
    folder = tmp_path_factory.mktemp("several") / "media"
    folder.mkdir()
    write(folder, FILM, DATA)
    with edge_cluster(folder, PASSWORD=PASSWORD) as cluster:
        for edge in cluster.edges:
            until(lambda edge=edge: sees_others(edge), "each edge sees the others")
        yield cluster


def sees_others(edge: Edge) -> bool:
    return edge.metric('reelay_edge_others{state="up"}') == 2


def get(edge: Edge, target: str) -> Answer:
    return ask(edge.base, target, RANGE)


def test_edges_lend_each_other_blocks_for_links_that_all_of_them_check(
    cluster: EdgeCluster,
) -> None:
    keys = KeyHolder.of(cluster.stack)
    link = keys.link("fFilms", identity="several-edges-16")
    head = ask(cluster.edges[0].base, media(link, FILM), method="HEAD")
    revision = head.headers["ETag"].strip('"')
    owner = cluster.owner(f"{FILM}?v={revision}", 0, BLOCK)
    first, second = (edge for edge in cluster.edges if edge != owner)
    target = media(link, FILM, revision)
    answers = [get(edge, target) for edge in (first, second, owner, first)]
    assert [answer.headers["X-Cache"] for answer in answers] == ["MISS", "PEER", "HIT", "HIT"]
    assert {answer.body for answer in answers} == {DATA[:BLOCK]}
    for edge in cluster.edges:
        assert get(edge, media("", FILM, revision)).status == 401
    revoked = "/var/lib/reelay/revoked"
    cluster.stack.run("service", "mkdir", "-p", revoked)
    cluster.stack.run("service", "sh", "-c", f"echo 0 >{revoked}/several-edges-16")
    until(
        lambda: [get(edge, target).status for edge in cluster.edges] == [410] * 3,
        "no edge opens it",
    )
