"""The rules for Prometheus: when each alert fires, what it measures, and what to do about it."""

import re
from pathlib import Path

import yaml
from support.prometheus import RULES, promtool, queries_of_dashboards, rules
from support.stack import ROOT

CASES = sorted(Path(__file__).parent.glob("rules*_test.yml"))
ALERTS = {rule["alert"] for rule in rules("alert")}


def test_the_rules_are_valid_and_do_what_the_cases_say() -> None:
    promtool("check", "rules", "--lint-fatal", RULES)
    promtool("test", "rules", *CASES)


def test_every_alert_fires_in_a_case() -> None:
    files = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in CASES]
    cases = [case for file in files for case in file["tests"]]
    checks = [check for case in cases for check in case.get("alert_rule_test", [])]
    assert {check["alertname"] for check in checks if check["exp_alerts"]} == ALERTS


def test_every_alert_leads_to_its_section_of_the_runbook() -> None:
    for rule in rules("alert"):
        assert set(rule["annotations"]) == {"summary", "runbook"}
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"critical", "warning"}
    page = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL))
    assert set(sections) == ALERTS
    for name, text in sections.items():
        assert re.findall(r"^\*\*(\w[\w ]*)\*\*:", text, re.MULTILINE) == [
            "Means",
            "Look at",
            "Mend",
        ], name


def test_every_rule_and_dashboard_reads_metrics_that_exist() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"`(reelay_\w+)`", page))  # which test_docs.py compares with the code
    recorded = {rule["record"] for rule in rules("record")}
    queries = [rule["expr"] for rule in [*rules("record"), *rules("alert")]]
    for query in [*queries, *queries_of_dashboards()]:
        for name in re.findall(r"\breelay[_:][\w:]+", query):
            metric = re.sub(r"_(bucket|count|sum)$", "", name)
            assert metric in listed or name in recorded, name
