"""Everything the control API needs, in one value that the composition root fills."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ostiary.core.clock import Clock
from ostiary.core.ports import Ledger
from ostiary.governance.registrar import Registrar
from ostiary.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """The pillars, as `app` built them. The types name what they will be once every pillar has landed."""

    settings: Settings
    data: Path
    """The data directory, for offline verification of the ledger."""
    clock: Clock
    registrar: Registrar
    ledger: Ledger
    """For change entries; appending returns only when durable."""
    reader: Any
    """`ledger.reader.LedgerReader`."""
    sessions: Any
    """`identity.sessions.Sessions`."""
    keys: Any
    """`identity.keys.Keys`."""
    directory: Any
    """`identity.directory.Directory`."""
    control: Any
    """Who authenticates callers of the control API: `identity.roles.authenticate_control`, bound."""
    policies: Any
    """`policy.store.PolicyStore`."""
    engine: Any
    """The policy engine that decides now."""
    approvals: Any
    """`governance.approvals`: the inbox."""
    pins: Any
    """`governance.tool_pins`."""
    secrets: Any
    """`governance.secrets.SealedSecrets`."""
