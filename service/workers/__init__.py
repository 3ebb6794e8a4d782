"""A pool of worker processes, and the process that it runs."""
