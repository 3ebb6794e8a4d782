"""What a media file says of itself: metadata, codecs, chapters, frame timing."""
