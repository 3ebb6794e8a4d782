"""Matroska and WebM files: what their headers say (RFC 9559)."""
