"""Flash video (Adobe Flash Video File Format Specification, version 10.1, Annex E)."""
