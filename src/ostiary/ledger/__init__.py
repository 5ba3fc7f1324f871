"""Pillar 4: the tamper-evident record of what was asked, decided and done."""

from ostiary.ledger.checking import UNANCHORED, Problem, Verification
from ostiary.ledger.ledger import Ledger
from ostiary.ledger.reader import LedgerReader
from ostiary.ledger.store import LedgerSource, LedgerStore
from ostiary.ledger.vault import LedgerKeys
from ostiary.ledger.writer import Pace, State

__all__ = ["UNANCHORED", "Ledger", "LedgerKeys", "LedgerReader", "LedgerSource", "LedgerStore", "Pace", "Problem", "State", "Verification"]
