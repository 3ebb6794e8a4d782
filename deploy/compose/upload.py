"""Copy those files of the video folder into a bucket that it lacks or has in another size."""

import os
import urllib.error
import urllib.request
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import obstore
from obstore.store import S3Store

FOLDER = Path("/media")


def main() -> None:
    """Create the bucket, and copy the files."""
    store = S3Store(os.environ["BUCKET"], client_options={"allow_http": True})
    # The client cannot create buckets, but it can sign the request.
    url = obstore.sign(store, "PUT", "", timedelta(minutes=5))
    request = urllib.request.Request(url, method="PUT")  # noqa: S310 # the operator's own store
    try:
        urllib.request.urlopen(request, timeout=30).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.CONFLICT:  # the bucket exists and is ours
            raise
    sizes = {entry["path"]: entry["size"] for page in store.list() for entry in page}
    for file in sorted(FOLDER.rglob("*")):
        key = file.relative_to(FOLDER).as_posix()
        hidden = any(part.startswith(".") for part in Path(key).parts)
        if file.is_file() and not hidden and sizes.get(key) != file.stat().st_size:
            print(key, flush=True)
            store.put(key, file)


if __name__ == "__main__":
    main()
