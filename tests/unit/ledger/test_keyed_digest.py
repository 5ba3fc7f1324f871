"""The keyed digest of an action in a leaf is HMAC-SHA-256, as auditors compute it (R-L2)."""

import hmac

from hypothesis import given
from hypothesis import strategies as st

from ostiary.ledger.vault import keyed_digest


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200))
def test_it_is_hmac_sha_256(key: bytes, content: bytes) -> None:
    assert keyed_digest(key, content) == hmac.digest(key, content, "sha256")
