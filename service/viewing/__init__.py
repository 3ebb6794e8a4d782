"""Viewing reports: players say how films played, and the metrics have the sums."""
