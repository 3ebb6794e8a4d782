"""Traces of requests by OpenTelemetry, if a collector's address is set."""
