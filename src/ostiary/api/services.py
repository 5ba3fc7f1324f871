"""Everything the control API needs, in one value that the composition root fills."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ostiary.core.clock import Clock
from ostiary.core.ports import Ledger
from ostiary.core.registry import Registry
from ostiary.governance.approvals import Approvals
from ostiary.governance.card_pins import CardPins
from ostiary.governance.lent_trust import LentTrust
from ostiary.governance.registrar import Registrar
from ostiary.governance.secrets import SealedSecrets
from ostiary.governance.tool_pins import ToolPins
from ostiary.governance.tool_profiles import ToolProfiles
from ostiary.identity.control import ControlPlane
from ostiary.identity.directory import Directory
from ostiary.identity.keys import KeyRing
from ostiary.identity.sessions import Sessions
from ostiary.ledger.checking import Verification
from ostiary.ledger.reader import LedgerReader
from ostiary.monitoring.crossings import Observed
from ostiary.monitoring.notices import Notices
from ostiary.policy.engine import PolicyEngine
from ostiary.policy.store import PolicyStore
from ostiary.provenance.engine import Provenance
from ostiary.settings import Described, Settings


@dataclass(frozen=True, slots=True)
class Services:
    """The pillars, as `app` built them."""

    settings: Settings
    described: tuple[Described, ...]
    """Every setting with its source, for `doctor`."""
    data: Path
    """The data directory, for verifying the ledger from what is on disk."""
    clock: Clock
    registrar: Registrar
    ledger: Ledger
    """Appending returns only when the entry is durable."""
    settled: Callable[[], Awaitable[None]]
    """Returns once all that was recorded so far can be read."""
    is_recording: Callable[[], bool]
    """Whether the ledger can write now."""
    reader: LedgerReader
    verify: Callable[[], Verification]
    """Checks the whole ledger, on a source of its own; blocks."""
    sessions: Sessions
    keys: KeyRing
    directory: Directory
    control: ControlPlane
    policies: PolicyStore
    engine: PolicyEngine
    approvals: Approvals
    trust: LentTrust
    provenance: Provenance
    pins: ToolPins
    profiles: ToolProfiles
    cards: CardPins
    secrets: SealedSecrets
    notices: Notices
    observed: Observed
    """Every crossing seen, added up from the ledger."""
    preview: Callable[[Registry, Registry], Awaitable[tuple[Registry, Mapping[str, str]]]]
    """The wanted registry with the tools its new servers would bring, and by name why a server could not be looked at."""
    connect: Callable[[], Awaitable[Mapping[str, str]]]
    """Looks at every registered server and pins its tools; returns by name why one could not be looked at."""
    read_directories: Callable[[], Awaitable[Mapping[str, str]]]
    """Reads every directory that comes from a connected source; returns by name why one could not be read."""

    def policy_files(self) -> Mapping[str, str]:
        """Return the policy files that decide now."""
        return self.policies.current.files
