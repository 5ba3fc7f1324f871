"""Which questions of servers may be put to a client."""

from typing import Any

import pytest

from ostiary.protocols.mcp.questions import asks_for_secrets, is_offered


def _form(name: str = "value", message: str = "Please answer", **field: Any) -> dict[str, Any]:
    return {"message": message, "requestedSchema": {"type": "object", "properties": {name: {"type": "string", **field}}}}


@pytest.mark.parametrize(
    "form",
    [
        _form("password"),
        _form("userPassword"),
        _form("api_key"),
        _form("apiKey"),
        _form("ACCESS-TOKEN"),
        _form("x", title="Pass phrase"),
        _form("x", description="Your card number and CVV"),
        _form("x", message="Enter your one-time code to continue"),
        _form("pin"),
        _form("seedPhrase"),
        _form("x", message="What is your social security number?"),
    ],
)
def test_forms_that_ask_for_credentials(form: dict[str, Any]) -> None:
    """R-B5: whatever the spelling, the place, or the case."""
    assert asks_for_secrets("elicitation/create", form)
    assert not asks_for_secrets("elicitation/create", form | {"mode": "url", "url": "https://bank.example/login"})


@pytest.mark.parametrize(
    "form", [_form("name"), _form("shipping"), _form("colour", description="The colour of the spinning wheel"), _form("passenger")]
)
def test_honest_forms(form: dict[str, Any]) -> None:
    """R-B5: ordinary questions are put."""
    assert not asks_for_secrets("elicitation/create", form)


def test_only_what_the_client_offers() -> None:
    """R-B5: and no method beyond the three."""
    assert is_offered("roots/list", {"roots": {}})
    assert not is_offered("roots/list", {"sampling": {}})
    assert not is_offered("tools/call", {"tools": {}})
