"""The pool of worker processes that open media files."""
