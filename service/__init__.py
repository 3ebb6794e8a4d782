"""Reelay: a folder of videos on the web."""

__version__ = "0.1.0"
