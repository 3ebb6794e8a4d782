"""The database of the catalogue: its file, its rows, and how they are read."""
