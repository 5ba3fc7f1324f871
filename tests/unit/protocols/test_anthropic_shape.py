"""The shape of a messages request, held against the official client's own types."""

from typing import Any

import pytest
from anthropic.types import message_count_tokens_params, message_create_params

from ostiary.core.errors import InvalidAction
from ostiary.protocols.anthropic.shape import COUNTED, FIELDS, check_count, check_messages

ASKED: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}


def test_every_field_of_the_official_client_is_known() -> None:
    """STANDARDS.md: a new field of the API fails here, before a user finds it."""
    assert set(message_create_params.MessageCreateParamsBase.__annotations__) <= set(FIELDS)
    assert set(message_count_tokens_params.MessageCountTokensParams.__annotations__) <= set(COUNTED)


@pytest.mark.parametrize(
    "rest",
    [
        {},
        {"system": "be nice", "stream": True, "thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]},
        {"tools": [{"name": "a", "input_schema": {"type": "object", "Properties": {}}}]},
        {"tools": [{"type": "custom", "name": "a", "input_schema": {}}, {"type": "bash_20250124", "name": "bash"}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x"}]}]}
            ]
        },
        {"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": "s"}]}]},
    ],
    ids=str,
)
def test_well_formed_requests(rest: dict[str, Any]) -> None:
    """R-B2: what the official client sends passes; names inside a tool's schema are the user's own."""
    check_messages({**ASKED, **rest})


def test_a_count_has_no_answer_to_shape() -> None:
    """R-B2: fields of a generation do not belong to a count."""
    check_count({"model": "m", "messages": ASKED["messages"]})
    with pytest.raises(InvalidAction, match="max_tokens"):
        check_count(ASKED)
