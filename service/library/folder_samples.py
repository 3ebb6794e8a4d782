"""Which videos stand for a folder: some of what is in it, from as many of its parts as there is
room for. Law: a function of the catalogue; it costs what it gives, however much a folder holds."""

from service.library.catalogue import Catalogue
from service.models import Video


def stand_ins(catalogue: Catalogue, folder: str, most: int) -> list[Video]:
    """Give at most `most` videos from a folder: its own first, else some of each folder in it."""
    found: list[Video] = []
    waiting = [(folder, most)]  # and how many each may give; the last one is next
    while waiting and len(found) < most:
        path, share = waiting.pop()
        inner = catalogue.folders.directly_in(path)
        # A page of a folder begins with the folders in it.
        own = catalogue.stretch("", "name", len(inner), share, path).videos
        found += own
        left = share - len(own)
        parts = inner[:left]
        shares = [left // len(parts) + (number < left % len(parts)) for number in range(len(parts))]
        waiting += reversed([(part.path, one) for part, one in zip(parts, shares, strict=True)])
    return found[:most]
