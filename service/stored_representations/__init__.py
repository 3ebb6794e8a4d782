"""Opens the representations that are made of files and stored."""
