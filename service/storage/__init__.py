"""Where the files are, and how their bytes are read."""
