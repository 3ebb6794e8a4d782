"""Captions and chapters as WebVTT, from sidecars and containers."""
