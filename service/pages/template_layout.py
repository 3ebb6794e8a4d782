"""Removes from pages what lays out their templates: indentation, and the lines of statements."""

import re

from jinja2.ext import Extension

_INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)
# A statement or a comment that has a line of its own, up to what ends it.
_STATEMENT = re.compile(r"^(\{%(?:(?!%\}).)*?|\{#(?:(?!#\}).)*?)(-?[%#]\})\n", re.MULTILINE)


class WithoutLayout(Extension):
    """Removes the layout of templates, which would be a third of a page's bytes.

    Every line keeps its number, so that errors name the right one: the line end after a statement
    is put inside it.
    """

    def preprocess(
        self,
        source: str,
        name: str | None,  # noqa: ARG002 # Jinja passes these two
        filename: str | None = None,  # noqa: ARG002
    ) -> str:
        """Return the source of a template without its layout."""
        return _STATEMENT.sub(r"\1\n\2", _INDENTATION.sub("", source))
