"""What `/media/` sends of a file: as it is, or with its index in front."""
