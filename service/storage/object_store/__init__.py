"""Media files in a bucket of an object store, with a cache of blocks."""
