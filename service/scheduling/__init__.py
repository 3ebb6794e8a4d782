"""Which artefacts exist, which are missing, and in which order they are built."""
