"""Fragmented forms of long films: players can begin without the whole index."""
