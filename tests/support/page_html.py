"""Elements of HTML pages."""

from html.parser import HTMLParser


class Elements(HTMLParser):
    """Records the elements of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


def attributes_of(page: str, *tags: str) -> list[dict[str, str]]:
    """Return the attributes of a page's elements with these names, or of all elements.

    An attribute without a value has "".
    """
    return [
        {name: value or "" for name, value in attributes.items()}
        for tag, attributes in Elements(page).elements
        if tag in tags or not tags
    ]
