"""Who may see what: tokens of share links and sessions, their keys, and the state that is kept."""
