"""A copy of everything a gateway knows."""

from pathlib import Path

from ostiary.cli.options import PLAIN, Out
from ostiary.cli.output import say


def backup(to: Path, *, without_keys: bool = False, out: Out = PLAIN) -> int:
    """Copy the data directory into an empty folder, also while its gateway runs, and verify the copy's ledger.

    Parameters
    ----------
    to:
        A folder that is empty or not there yet. Whoever has it with its keys can read everything.
    without_keys:
        Leave out `keys/`, `tls/` and `operator.key`, to be kept elsewhere.
    """
    from ostiary.cli.client import place
    from ostiary.storage.backup import copy
    from ostiary.storage.ledger_files import verify

    copy(place.data, to, keys=not without_keys)
    found = verify(to, check_index=False)
    for problem in found.problems:
        say(f"error: {problem.what}")
    sentence = f"copied to `{to}`: {found.entries} entries, {found.sealed} under a signed checkpoint"
    out.done(sentence, {"to": str(to), "entries": found.entries, "sealed": found.sealed, "ok": found.ok})
    return 0 if found.ok else 1
