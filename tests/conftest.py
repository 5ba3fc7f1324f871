"""How hypothesis searches: anew on every machine of ours, the same examples every time in CI, where a failure must be a change."""

import os

from hypothesis import settings

settings.register_profile("search", deadline=None)
settings.register_profile("repeat", deadline=None, derandomize=True, database=None)
settings.load_profile("repeat" if os.environ.get("CI") else "search")
