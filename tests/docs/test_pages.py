"""What the pages promise is there: links lead somewhere, CI runs what the README says, nothing is undocumented."""

import re
from pathlib import Path

import pytest

from ostiary.core.errors import CODES
from ostiary.monitoring.metrics import Metrics
from ostiary.settings import describe

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "AGENTS.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, _ in LINK.findall(page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_ci_runs_what_the_readme_says() -> None:
    shown = set(re.findall(r"^(scripts/\w+)$", (ROOT / "README.md").read_text(), re.MULTILINE))
    ran = set(re.findall(r"^(scripts/\w+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE))
    assert ran == {"scripts/demo", "scripts/test"}
    assert ran <= shown


def test_no_setting_code_or_metric_is_undocumented() -> None:
    settings = (ROOT / "docs/reference/settings.md").read_text()
    missing = [each.name for each in describe(environ={}) if f"`{each.name.partition('.')[2]}`" not in settings]
    errors = (ROOT / "docs/reference/errors.md").read_text()
    missing += [code for code in CODES if f"`{code}`" not in errors]
    metrics = (ROOT / "docs/reference/metrics.md").read_text()
    names = re.findall(r"^# HELP (ostiary_\w+)", Metrics().render().decode(), re.MULTILINE)
    missing += [name for name in names if f"`{name}`" not in metrics]
    assert missing == []


def test_fewer_than_sixty_settings() -> None:
    assert len(describe(environ={})) < 60
