"""Posters and storyboards, from covers and from frames."""
