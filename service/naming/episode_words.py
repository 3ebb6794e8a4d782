"""Recognises the names of episodes without guessit, which is too slow for a whole library."""

import re

_EPISODE = re.compile(r"(?<![^\W_])(?:s\d{1,4}[ ._-]{0,3}e\d|\d{1,2}x\d{2,3}(?!\d))", re.IGNORECASE)


def names_episode(name: str) -> bool:
    """Return whether a name has the number of an episode, such as S01E02 or 1x02."""
    return _EPISODE.search(name) is not None
