"""The settings: their names, defaults and bounds, and how their texts are read."""
