"""Stores artefacts in a folder or a bucket, with leases and a quota."""
