"""Artefacts of videos (posters, captions, storyboards) and the order in which they are built."""
