"""Read THIRD-PARTY.md, the page of licences."""

from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parents[2] / "THIRD-PARTY.md"


def _rows(heading: str) -> Iterator[list[str]]:
    """Yield the cells of the table below a heading, without the table's first two lines."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    table = section.partition("\n|")[2].partition("\n\n")[0].splitlines()
    for line in table[2:]:
        yield [cell.strip() for cell in line.strip("|").split(" | ")]


def packages(image: str) -> set[tuple[str, str]]:
    """Return the name and the version of each Python package of an image."""
    rows = _rows("Python packages")
    return {(name, version) for name, version, _, images in rows if image in images.split(", ")}


def libraries() -> set[tuple[str, str]]:
    """Return each library of another project in a Python package, after the package's name."""
    rows = _rows("Libraries in Python packages")
    return {(package, each) for package, names, _ in rows for each in names.split(", ")}
