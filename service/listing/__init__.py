"""How videos are grouped, ordered and found: series, albums, clips, search."""
