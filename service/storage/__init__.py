"""Folders and buckets of media files: listing, opening and reading them."""
