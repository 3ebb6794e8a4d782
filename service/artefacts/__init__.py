"""Posters, captions and storyboards: what exists, what is missing, in which order it is made."""
