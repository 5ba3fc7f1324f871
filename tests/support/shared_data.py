"""Where public test data lies: next to the checkout, or in `$OSTIARY_SHARED`."""

import os
from pathlib import Path

_ROOT = Path(os.environ.get("OSTIARY_SHARED", Path(__file__).parents[3] / "shared"))


def shared(part: str) -> Path:
    """Return a part of the shared data, which must be there: a missing corpus is no reason to pass."""
    path = _ROOT / part
    if not path.is_dir():
        raise FileNotFoundError(f"test data `{path}` is missing: set OSTIARY_SHARED")
    return path
