"""Decoding of text whose encoding is not declared, or is declared wrongly."""
