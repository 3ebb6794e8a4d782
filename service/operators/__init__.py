"""The page for people who run the library: all replicas and edges at once, for the last hour."""
