"""How artefacts are written as bytes, and read."""
