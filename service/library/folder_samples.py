"""Which videos stand for a folder: some of what is in it, from as many of its parts as there is
room for. Law: a function of the catalogue; it costs what it gives, however much a folder holds."""

from service.library.catalogue import Catalogue
from service.models import Video


def sample_videos(catalogue: Catalogue, folder: str, max_videos: int) -> list[Video]:
    """Give at most `most` videos from a folder: its own first, else some of each folder in it."""
    samples: list[Video] = []
    pending = [(folder, max_videos)]  # and how many each may give; the last one is next
    while pending and len(samples) < max_videos:
        path, share = pending.pop()
        subfolders = catalogue.folders.subfolders(path)
        # A page of a folder begins with the folders in it.
        videos = catalogue.page_at("", "name", len(subfolders), share, path).videos
        samples += videos
        left = share - len(videos)
        chosen = subfolders[:left]
        shares = [
            left // len(chosen) + (number < left % len(chosen)) for number in range(len(chosen))
        ]
        pending += reversed(
            [(subfolder.path, count) for subfolder, count in zip(chosen, shares, strict=True)]
        )
    return samples[:max_videos]
