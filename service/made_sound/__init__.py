"""Makes sound that browsers play for films that have none, and the header of the MP4 with it."""
