"""Version, and shell completion."""

import sys
from typing import Literal

import ostiary
from ostiary.cli.options import PLAIN, Out


def version(*, out: Out = PLAIN) -> None:
    """Print the version, the policy engine's, and the formats on disk."""
    from importlib.metadata import version as of

    from ostiary.ledger.leaf import FORMAT
    from ostiary.storage.sqlite import FORMAT as STATE

    out.one(
        {
            "ostiary": ostiary.__version__,
            "engine": f"cedarpy {of('cedarpy')}",
            "schema": f"ledger {FORMAT}, state {STATE}",
            "python": sys.version.split()[0],
        }
    )


def completion(shell: Literal["bash", "zsh", "fish"], *, out: Out = PLAIN) -> None:
    """Print the completion script of a shell: `ostiary completion bash > ~/.local/share/bash-completion/completions/ostiary`."""
    from ostiary.cli import build

    script = build().generate_completion(prog_name="ostiary", shell=shell)
    out.one({"shell": shell, "script": script} if out.json else script)
