"""The commands `doctor` and `healthcheck`."""
