"""Copies the frames of a film into an MP4, where they are no whole runs of bytes in the file."""
