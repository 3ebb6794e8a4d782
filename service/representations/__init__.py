"""The representations of a file at `/media/`: unchanged, or with its index in front."""
