"""HTML pages: the player, the frame for other sites, link previews."""
