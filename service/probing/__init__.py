"""Media file probing: metadata, codecs, chapters, frame timing."""
