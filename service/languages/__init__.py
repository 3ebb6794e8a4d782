"""The languages of tracks: their tags and names."""
