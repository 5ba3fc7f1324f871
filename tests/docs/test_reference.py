"""The reference says what the code does: pages written from it are current, examples in them work."""

import re
import subprocess
import sys
from pathlib import Path

from ostiary.core.errors import CODES
from ostiary.core.registry import Registry
from ostiary.governance.declaration import Bundle, plan, read
from ostiary.settings import describe

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def test_generated_pages_are_current() -> None:
    """`scripts/docs --check` fails for a setting, command, operation or error that is not documented."""
    ran = subprocess.run([sys.executable, REFERENCE / "generate.py", "--check"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr


def test_every_setting_and_error_is_documented() -> None:
    settings, errors = (REFERENCE / "settings.md").read_text(), (REFERENCE / "errors.md").read_text()
    assert all(f"`{each.name.partition('.')[2]}`" in settings for each in describe(environ={}))
    assert all(f"`{code}`" in errors for code in CODES)


def test_the_declaration_of_the_reference_is_one() -> None:
    """SURFACE: what the page shows is what `ostiary apply` takes."""
    page = (REFERENCE / "declaration.md").read_text()
    example = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert example
    bundle = Bundle({"company.yaml": example[1]}, {"prompts/invoice.md": "pay", "policies/a.cedar": ""})
    found = plan(read(bundle), Registry(), {})
    assert found.notes == ()
    assert found.registry.agents["invoice-bot"].status == "active"
