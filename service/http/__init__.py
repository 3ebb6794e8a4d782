"""ASGI middleware and responses: request context, logs, metrics, the media route, static files."""
