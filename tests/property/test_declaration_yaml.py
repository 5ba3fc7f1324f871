"""Whatever text comes: the strict reader returns plain values that a second parser agrees on, or one plain refusal."""

import contextlib
import io
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from ostiary.core.errors import InvalidConfig
from ostiary.core.registry import Registry
from ostiary.governance.declaration import Bundle, plan, read
from ostiary.governance.strict_yaml import parse

BOUNDED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PIECES = st.sampled_from(
    ["users:", "agents:", "models:", "servers:", "policies:", " ", "\n", "  ", "- ", ": ", "{", "}", "[", "]", ",", "&a", "*a", "!!x", "<<", "|", ">", "'",
     '"', "#", "---", "...", "%", "?", "\t", "\x00", "\x85", "é", "alice", "owner", "null", "yes", "1", "1.5", "${env:X}", "secret:x", "\ud7ff", "﻿"]
)  # fmt: skip
SCALARS = st.one_of(
    st.booleans(),
    st.none(),
    st.integers(-(10**12), 10**12),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text("abcdefgh", min_size=1, max_size=6), inner, max_size=4)),
    max_leaves=20,
)


@given(st.lists(PIECES, max_size=40).map("".join))
@BOUNDED
def test_no_text_does_more_than_be_refused(text: str) -> None:
    """R-P2: nothing but InvalidConfig ever comes out of a declaration."""
    with contextlib.suppress(InvalidConfig):
        plan(read(Bundle({"x.yaml": text})), Registry(), {})


@given(VALUES)
@BOUNDED
def test_what_is_read_is_what_another_parser_reads(value: Any) -> None:
    """The strict reader accepts less than YAML, never something else."""
    out = io.StringIO()
    YAML(typ="safe", pure=True).dump({"root": value}, out)
    try:
        found = parse(out.getvalue(), "x").plain()
    except InvalidConfig:
        return
    assert found == {"root": value}
