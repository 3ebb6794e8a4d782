"""Languages with what the registries of ISO 639 and CLDR say of them.

`langcodes` is imported when the first language is needed: it is slow, and few files need it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langcodes import Language


def language_of(tag: str) -> "Language":
    """Return the language of a BCP 47 tag. Raises ValueError."""
    from langcodes import Language  # noqa: PLC0415 # as above

    return Language.get(tag)


def find_language(name: str) -> "Language":
    """Return the language of this name in any language, preferably its English one.

    Raises LookupError.
    """
    import langcodes  # noqa: PLC0415 # as above

    try:
        return langcodes.find(name)
    except LookupError:
        return langcodes.find(name, "en")
