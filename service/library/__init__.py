"""The catalogue of videos: scanning, watching, search, folders and titles."""
