"""Signed checkpoints and what makes one wrong."""

import pytest

from ostiary.core.errors import CheckpointMismatch, InvalidConfig
from ostiary.ledger.note import Signer, Verifier, read_unverified
from ostiary.ledger.tree import leaf_hash
from tests.support.ledger import ORIGIN, ledger_keys

ROOT = leaf_hash(b"x")
NOTE = Signer(ORIGIN, ledger_keys().signing).sign(7, ROOT, 1_800_000_000)
VERIFIER = Verifier.parse(Signer(ORIGIN, ledger_keys().signing).vkey)


def test_a_checkpoint_says_origin_size_root_and_when() -> None:
    """R-L2: signed note, tlog-checkpoint and a timestamped cosignature."""
    lines = NOTE.decode().split("\n")
    assert lines[:2] == [ORIGIN, "7"]
    assert len(lines[2]) == 44
    assert lines[3] == ""
    assert [line.split(" ")[:2] for line in lines[4:6]] == [["—", ORIGIN]] * 2
    checkpoint, at_s = VERIFIER.open(NOTE)
    assert (checkpoint.origin, checkpoint.size, checkpoint.root, at_s) == (ORIGIN, 7, ROOT, 1_800_000_000)
    assert read_unverified(NOTE) == checkpoint


def test_every_flipped_bit_of_a_checkpoint_is_refused_or_changes_nothing() -> None:
    """R-L2: no bit of the note can be changed and still say something else."""
    for place in range(len(NOTE) * 8):
        flipped = bytearray(NOTE)
        flipped[place >> 3] ^= 1 << (place & 7)
        try:
            found = VERIFIER.open(bytes(flipped))
        except CheckpointMismatch:
            continue
        assert found[0] == VERIFIER.open(NOTE)[0]
        assert found[1] in (1_800_000_000, None)  # the id of the second key was hit: one signature fewer


def test_checkpoints_of_others_are_refused() -> None:
    """R-L2: another key, another name, another origin, no signature."""
    other_key = Signer(ORIGIN, ledger_keys("other").signing).sign(7, ROOT, 1)
    other_name = Signer("elsewhere/ledger", ledger_keys().signing).sign(7, ROOT, 1)
    body = NOTE.decode().partition("\n\n")[0]
    for note in (other_key, other_name, body.encode() + b"\n\n", body.encode(), b"", b"\xff\n\n", b"x" * 70_000):
        with pytest.raises(CheckpointMismatch):
            VERIFIER.open(note)


@pytest.mark.parametrize("text", ["o\n-1\n", "o\n07\n", "o\n7\nAAAA\n", "o\n7\n", "\n7\n", "o\nx\n"])
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    """R-L2."""
    with pytest.raises(CheckpointMismatch):
        read_unverified(f"{text}\n— o AAAAAAAA\n".encode())


@pytest.mark.parametrize(
    "vkey", ["", "a+b", "a+00000000+AQ==", "a+zz+!!", Signer(ORIGIN, ledger_keys().signing).vkey.replace("+", "+0", 1)]
)
def test_what_is_no_verifier_key_is_refused(vkey: str) -> None:
    """R-L2."""
    with pytest.raises(InvalidConfig, match="not an Ed25519 verifier key"):
        Verifier.parse(vkey)


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "é", "a\nb"])
def test_an_origin_that_would_break_the_format_is_refused(origin: str) -> None:
    """R-L2."""
    with pytest.raises(InvalidConfig):
        Signer(origin, ledger_keys().signing)
