"""Pillar 4: the tamper-evident record of what was asked, decided and done."""

from ostiary.ledger.ledger import Ledger
from ostiary.ledger.vault import LedgerKeys
from ostiary.ledger.writer import Pace, State

__all__ = ["Ledger", "LedgerKeys", "Pace", "State"]
