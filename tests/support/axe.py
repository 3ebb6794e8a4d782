"""Accessibility of a page as axe-core checks it: WCAG 2.2 AA and its best practices."""

from typing import Literal

from playwright.sync_api import Page

from support.npm import packages

WIDE, NARROW = (1280, 900), (320, 640)
"""Windows, in CSS pixels."""


def axe_script() -> str:
    """Return axe-core."""
    return (packages() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def set_size(page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})


AXE = """async () => {
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa",
        "best-practice"];
    const result = await axe.run(document, {
        runOnly: {type: "tag", values: tags}, rules: {"target-size": {enabled: true}},
        resultTypes: ["violations"],
    });
    const {passes, violations} = result;
    return [passes.length, violations.flatMap(({id, help, nodes}) => nodes.map((node) =>
        `${id}: ${help}: ${node.target}: ${node.failureSummary.split("\\n").slice(1).join(";")}`))];
}"""


def violations(page: Page, axe: str, page_name: str) -> list[str]:
    """Run axe in both themes, in a wide and a narrow window.

    Contrast depends on the theme, and the size of targets on the width. The content security policy
    does not apply to scripts from DevTools.
    """
    page.evaluate(f"() => {{ {axe}; }}")
    lines = []
    variants: list[tuple[Literal["light", "dark"], tuple[int, int]]]
    variants = [("light", WIDE), ("dark", NARROW)]
    for scheme, size in variants:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        set_size(page, size)
        passes, results = page.evaluate(AXE)
        assert passes > 10
        lines += [f"{page_name}, {scheme}, {size[0]} px: {line}" for line in results]
    return lines
