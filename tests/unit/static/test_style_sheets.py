"""The style sheets share one set of custom properties, which style.css defines."""

import re
from pathlib import Path

STATIC = Path(__file__).parents[3] / "service" / "static"
SHEETS = {
    file.name: re.sub(r"/\*.*?\*/", "", file.read_text(encoding="utf-8"), flags=re.DOTALL)
    for file in STATIC.glob("*.css")
}
DEFINITION = re.compile(r"^\s*--([\w-]+):\s*([^;]+);", re.MULTILINE)
# Set on elements, not on the page.
LOCAL = {"at", "columns", "glow", "loaded", "part", "played", "thumb"}
SIZE = r"[\d.]+r?em\b"
LITERAL = re.compile(
    r"#[0-9a-f]{3,8}\b"
    r"|\brgb\(\d"
    rf"|\b(?:gap|(?:padding|margin)[\w-]*):[^;(]*{SIZE}"
    rf"|\bfont(?:-size)?:\s*{SIZE}"
    r"|\bfont-weight: \d"
    r"|\bborder-radius: \d+px",
)


def test_tokens_are_defined_only_in_the_base_sheet() -> None:
    for name, css in SHEETS.items():
        defined = {token for token, _ in DEFINITION.findall(css)} - LOCAL
        assert defined == set() or name == "style.css", name


def test_the_used_tokens_are_the_defined_ones() -> None:
    every = "".join(SHEETS.values())
    defined = {name for name, _ in DEFINITION.findall(every)}
    used = set(re.findall(r"var\(--([\w-]+)\)", every))
    assert used == defined


def test_other_sheets_have_no_colours_spaces_radii_or_type_of_their_own() -> None:
    literals = {name: LITERAL.findall(css) for name, css in SHEETS.items() if name != "style.css"}
    assert {name: values for name, values in literals.items() if values} == {}


def test_the_base_sheet_has_colours_only_in_custom_properties() -> None:
    rules = re.sub(r"(?m)^\s*--[\w-]+:[^;]+;", "", SHEETS["style.css"])
    assert re.findall(r"#[0-9a-f]{3,8}\b", rules) == []


def test_no_two_tokens_of_a_theme_have_the_same_name() -> None:
    for block in re.findall(r":root \{([^}]*)\}", SHEETS["style.css"]):
        names = [name for name, _ in DEFINITION.findall(block)]
        assert len(names) == len(set(names))
