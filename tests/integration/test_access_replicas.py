"""Access control of two replicas whose state is in a real object store."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from support.access import PASSWORD, cookie_of, sign_in
from support.object_store import Bucket
from support.raw_http import ask
from support.server import serve, until

from service.access.bucket_state import BucketState
from service.access.control import AccessControl, sign_out_everywhere
from service.access.grants import Scope, share_prefix
from service.access.links import list_links, make_link, revoke
from service.storage.object_store.sync_client import SyncObjectClient

pytestmark = pytest.mark.slow

KEY = "0123456789abcdef" * 4


def test_what_one_replica_learns_counts_at_the_other(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in bucket.environ().items():
        monkeypatch.setenv(name, value)
    media = tmp_path / "media"
    media.mkdir()
    state = BucketState(SyncObjectClient(bucket.store))
    control = AccessControl(state, bytes.fromhex(KEY))
    link = make_link(state, Scope("folder", ""), 0)
    shared = f"{share_prefix(control.sign_link(link.token))}/"
    with ExitStack() as stack:
        one, other = (
            stack.enter_context(serve(media, PASSWORD=PASSWORD, KEY=KEY, STATE=bucket.url))
            for _ in range(2)
        )
        mine, theirs = ({"Cookie": cookie_of(sign_in(one.base))} for _ in range(2))
        for replica in (one, other):
            assert ask(replica.base, "/", mine).status == 200
            assert ask(replica.base, shared).status == 200
        ask(one.base, "/sign-out", mine, "POST", b"")
        assert ask(one.base, "/", mine).status == 401
        until(lambda: ask(other.base, "/", mine).status == 401, "signed out")
        assert ask(other.base, "/", theirs).status == 200
        until(lambda: list_links(state, 0)[0].used, "the use is written")
        revoke(state, link.id)
        sign_out_everywhere(state)
        for replica in (one, other):
            until(lambda r=replica: ask(r.base, shared).status == 410, "revoked")
            until(lambda r=replica: ask(r.base, "/", theirs).status == 401, "out")
