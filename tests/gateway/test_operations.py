"""What is written for operators names what there is: metrics, alerts, and a section of the runbook for each."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric

from gateway.cli import app
from gateway.settings import Settings, read_settings
from gateway.telemetry import Telemetry
from gateway.wiring import running_gateway
from schema.viewer import NOBODY
from store import Unavailable
from tests.write_model.desk import BadDays, create, desk

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations"
METRICS = (OPERATIONS / "metrics.md").read_text()
RUNBOOK = (OPERATIONS / "runbook.md").read_text()
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((OPERATIONS / "alerts.yaml").read_text())["groups"] for rule in group["rules"]
]
DASHBOARD = json.loads((OPERATIONS / "grafana-dashboard.json").read_text())
EXPRESSIONS: list[str] = [
    *(rule["expr"] for rule in RULES),
    *(target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())),
]

ROW = re.compile(r"^\| `(\w+)` \| (\w+) \|(.*?)\| \S.* \|$", re.MULTILINE)
NAMES = re.compile(r"\b(?:gateway|process)_\w+")
SUFFIXES = ("_bucket", "_sum", "_count")


def documented() -> dict[str, tuple[str, set[str]]]:
    """Type and labels of each metric that the page has."""
    return {name: (type, set(re.findall(r"`(\w+)`", labels))) for name, type, labels in ROW.findall(METRICS)}


def shown(metric: Metric) -> tuple[str, tuple[str, set[str]]]:
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    return name, (metric.type, {label for sample in metric.samples for label in sample.labels} - {"le"})


async def test_the_page_has_every_metric_with_its_type_and_labels() -> None:
    telemetry = Telemetry()
    settings = read_settings(store_url="sqlite:///:memory:", projector=False)
    async with running_gateway(settings, telemetry) as running:
        units: Any = running.store.units
        units["orders", "read"] = 1.0

        async def fail(apply: object) -> Any:
            raise Unavailable("gone")

        with pytest.raises(Unavailable):
            await telemetry.execute(desk(BadDays(running.store.container("orders"), [fail])), create())
        metrics, observer = telemetry.metrics, telemetry.observer
        telemetry.denied("order", NOBODY, "UNAUTHENTICATED")
        telemetry.unauthenticated("expired")
        metrics.operations.counts["query", "SUCCESS"] += 1
        metrics.operation_seconds.observe("query", 1)
        metrics.executions.counts["plan",] += 1
        metrics.refused.counts["OVERLOADED",] += 1
        observer.applied("p@1", [], 0.1)
        observer.lag("p@1", "0", 0)
        observer.retried("p@1", "Conflict")
        observer.parked("p@1")
        observer.lease_moved("p@1", "0", "taken")
        assert dict(map(shown, metrics.registry.collect())) == documented()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_alerts_and_dashboard_ask_for_metrics_that_there_are(expression: str) -> None:
    known = documented()
    histograms = {name + suffix for name, (type, _) in known.items() if type == "histogram" for suffix in SUFFIXES}
    wanted = set(NAMES.findall(expression))
    assert wanted <= known.keys() | histograms
    assert wanted or expression.startswith("up{")
    assert expression.count("(") == expression.count(")")


def test_the_dashboard_shows_every_metric_of_ours() -> None:
    asked = " ".join(EXPRESSIONS)
    assert [name for name in documented() if name.startswith("gateway_") and name not in asked] == []


def test_the_dashboard_has_panels_that_do_not_lie_on_each_other() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_how_bad_it_is_and_has_a_section_in_the_runbook(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook"] == f"runbook.md#{rule['alert'].lower()}"
    (section,) = re.findall(rf"^## {rule['alert']}\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert "**It means**" in section
    assert "```console\n$ " in section


def test_the_runbook_has_no_section_for_an_alert_that_is_gone() -> None:
    sections = re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE)
    assert sections == [rule["alert"] for rule in RULES]


def test_what_the_runbook_has_typed_exists() -> None:
    typed = "\n".join(re.findall(r"```console\n(.*?)```", RUNBOOK, re.DOTALL))
    assert {name for name in NAMES.findall(typed) if name.endswith("_total")} <= documented().keys()
    commands = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    commands |= {str(group.name) for group in app.registered_groups}
    assert set(re.findall(r"\bgateway ([a-z-]+)", re.sub(r"pgrep.*", "", typed))) <= commands
    settings = {name.upper() for name in Settings.model_fields}
    assert set(re.findall(r"`([A-Z]+_[A-Z_]+)`", RUNBOOK)) <= settings | {"WRONG_STATUS"}
