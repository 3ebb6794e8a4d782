"""HTML pages: the library, the player, the frame for other sites, link previews."""
