"""What browsers play, and the FFmpeg commands that fix what they do not."""
