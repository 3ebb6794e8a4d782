"""README and docs name every setting, route, metric and format of the code, and no others."""

import re
from pathlib import Path

import pytest
from quart import Quart

from service.browsing import library_page
from service.catalogue.catalogue import SORTS
from service.composition.app import create_app
from service.metrics import Metrics
from service.playability.findings import CODES
from service.protocol import media_types
from service.settings.environment import EDGE_VARIABLES, PREFIX, Settings, load

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))


def rows(page: str) -> dict[str, list[str]]:
    """Return the rows of a page's tables by their first cell, without backquotes."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells}


@pytest.fixture
def app(tmp_path: Path) -> Quart:
    return create_app(
        load(
            {
                "REELAY_MEDIA": str(tmp_path),
                "REELAY_DERIVED": str(tmp_path / "derived"),
                "REELAY_STATE": str(tmp_path / "state"),
                "REELAY_OIDC_ISSUER": "https://login.example",
                "REELAY_OIDC_CLIENT_ID": "reelay",
                "REELAY_OIDC_ALLOWED": "@family.example",
            }
        )
    )


def test_the_listed_settings_are_the_existing_ones() -> None:
    listed = {name for name in rows("settings") if name.startswith(PREFIX)}
    # deploy/release/compose.yml has the variables of docker-compose.yml, and two more.
    compose = (ROOT / "deploy" / "release" / "compose.yml").read_text(encoding="utf-8")
    in_compose = set(re.findall(r"\$\{(REELAY_[A-Z_]+)", compose))
    settings = {PREFIX + name.upper() for name in Settings.model_fields}
    assert listed == settings | in_compose
    assert in_compose - settings == EDGE_VARIABLES - {"REELAY_REQUIRE_STACK"}


def test_the_listed_defaults_are_the_defaults() -> None:
    listed = rows("settings")
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    for name, default in re.findall(r"\$\{(REELAY_[A-Z_]+):-([^}]*)\}", compose):
        if name != "REELAY_TLS_DIR":  # the default is a volume, which has no value to set
            assert listed[name][0] == (f"`{default}`" if default else "none"), name
    settings = load({"REELAY_MEDIA": str(ROOT)})
    assert settings.derived_size == 2 * 2**30
    assert settings.workers == 1
    assert settings.block_cache == 64 * 2**20
    assert settings.store_timeout == 10
    for name in ("stall_timeout", "drain_delay", "drain_timeout", "rescan_interval", "settle_time"):
        assert listed[PREFIX + name.upper()][0] == f"`{getattr(settings, name):g}`"
    assert settings.max_partial_size == 4 * 2**20
    assert settings.listen == ("127.0.0.1", 8000)


def test_the_listed_routes_are_the_existing_ones(app: Quart) -> None:
    routes = {re.sub(r"<\w+:(\w+)>", r"<\1>", rule.rule) for rule in app.url_map.iter_rules()}
    assert {name for name in rows("http-api") if name.startswith("/")} == routes


def test_every_metric_is_listed_with_its_labels() -> None:
    metrics = {}
    for family in Metrics().registry.collect():
        if family.name.startswith("reelay_"):
            metrics[family.name + ("_total" if family.type == "counter" else "")] = family
    listed = {
        name: row
        for name, row in rows("metrics").items()
        if name.startswith("reelay_") and "edge" not in name
    }
    assert set(listed) == set(metrics)
    for name, instrument in vars(Metrics()).items():
        if name not in {"registry", "for_request"}:
            described = instrument.describe()[0]
            full = described.name + ("_total" if described.type == "counter" else "")
            labels = ", ".join(f"`{label}`" for label in instrument._labelnames)  # noqa: SLF001
            assert listed[full][0] == labels, full


def test_the_listed_findings_are_the_existing_ones() -> None:
    page = (ROOT / "docs" / "library.md").read_text(encoding="utf-8")
    table = page.partition("## Findings\n")[2].partition("\n## ")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    listed = [code for cell in first_cells for code in re.findall(r"`(\w+)`", cell)]
    assert sorted(listed) == sorted(CODES)


def test_every_format_is_listed() -> None:
    sentence = re.search(r"Formats: ([^.]*)\.", README)
    assert sentence
    endings = re.split(r"[,;]\s+", sentence[1])
    assert all(media_types.media_type(f"x.{ending}") for ending in endings)
    assert set(endings) == set(media_types._TYPES)  # noqa: SLF001


def test_every_sort_has_a_label() -> None:
    assert tuple(library_page._SORT_LABELS) == ("track", *SORTS)  # noqa: SLF001


def test_the_readme_has_the_promised_commands() -> None:
    for command in (
        "docker compose up\n",
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/python -m service\n",
        "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest\n",
    ):
        assert f"```sh\n{command}```" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_linked_file_and_heading_exists(page: Path) -> None:
    for target, heading in re.findall(
        r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")
    ):
        file = page.parent / target if target else page
        assert file.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {title.lower().replace(" ", "-") for title in headings}, heading


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_named_path_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"\b(?:service|nginx|tests|benchmarks|deploy|docs)/[\w./-]*\w", text)
    for path in named:
        assert (ROOT / path).exists(), path


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150
