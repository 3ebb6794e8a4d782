"""What browsers play: containers, codecs, and which of several tracks."""
