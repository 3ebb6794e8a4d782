"""Makes a header in front of a Matroska file, with which its bytes are an MP4."""
