"""Chooses the videos that represent a folder: by their posters, or in its place."""

from service.catalogue.catalogue import Catalogue
from service.listing.folders import Folder
from service.models import Video


def own_film(catalogue: Catalogue, folder: Folder) -> Video | None:
    """Return the film whose own folder this is: it is shown in place of the folder.

    It is the only video in it, and has its title. A folder of another title says more than the
    video, so None is returned.
    """
    if folder.videos != 1:
        return None
    videos = sample_videos(catalogue, folder.path, 1)
    return next((video for video in videos if video.title == folder.title), None)


def sample_videos(catalogue: Catalogue, folder: str, max_videos: int) -> list[Video]:
    """Return videos of a folder: its own first, then some of each subfolder.

    The cost depends on `max_videos`, not on the size of the folder.
    """
    samples: list[Video] = []
    pending = [(folder, max_videos)]  # and their shares; the last one is next
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
