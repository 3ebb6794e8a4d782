"""Posters, captions and storyboards: what exists, what is missing, and in which order it is made."""
