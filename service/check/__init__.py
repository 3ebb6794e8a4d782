"""The checks of the command `check`: what players need of a film's URL, asked through the chain."""
