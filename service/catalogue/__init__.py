"""The catalogue of videos: a database of them, and the orders in which they are listed."""
