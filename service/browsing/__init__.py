"""The pages of cards: home, library, series."""
