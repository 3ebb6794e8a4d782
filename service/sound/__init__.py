"""Transcodes sound that browsers do not play to AAC. Use it in worker processes only."""
