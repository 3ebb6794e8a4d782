"""The commands `check`, `doctor`, `healthcheck`, `share` and `sign-out-everywhere`."""
