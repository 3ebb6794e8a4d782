"""JSON, OpenAPI, playlists, artefacts over HTTP, errors and operators' routes."""
