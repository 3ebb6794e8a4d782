"""Media files in a local folder."""
