"""Admits or refuses requests: signing in and out, sessions, and share links over HTTP."""
