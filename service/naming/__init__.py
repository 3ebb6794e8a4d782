"""Reads the names of files and folders: words, series, episodes, films, dates."""
