"""Each noun's fields, one by one: what is read, what is refused (R-S2, R-B5)."""

from typing import Any

import pytest

from ostiary.core.errors import InvalidConfig
from ostiary.governance.addresses import url_problem
from ostiary.governance.shapes import SHAPES
from ostiary.governance.strict_yaml import from_plain


def read(noun: str, **fields: Any) -> Any:
    return SHAPES[noun]("x", from_plain(fields, "test"))


@pytest.mark.parametrize(
    ("url", "unsafe", "is_fine"),
    [
        ("https://api.example/v1", False, True),
        ("http://127.0.0.1:9001", False, True),
        ("http://[::1]:9001/mcp", False, True),
        ("http://localhost/mcp", False, True),
        ("http://api.example", False, False),
        ("http://api.example", True, True),
        ("http://127.0.0.1.evil.example", False, False),
        ("http://localhost@evil.example", True, False),
        ("https://user@api.example", False, False),
        ("https://:pw@api.example", False, False),
        ("ftp://api.example", True, False),
        ("//api.example", False, False),
        ("https://", False, False),
        ("https://api.example:99999", False, False),
        ("https://api.example/#x", False, False),
        ("https://api.example/a b", False, False),
        ("https://api.example\\@evil.example", False, False),
        ("https://аpi.example", False, False),
        ("https://api.example/\r\nx: y", False, False),
        ("javascript:alert(1)", True, False),
    ],
)
def test_addresses(url: str, unsafe: bool, is_fine: bool) -> None:
    """R-B5: encrypted beyond this machine, nothing hidden in the address."""
    assert (url_problem(url, unsafe) == "") is is_fine


def test_credentials_of_an_api() -> None:
    base = {"url": "https://a.example"}
    assert read("apis", **base, credential="secret:k").credential == {"secret": "k", "as": "bearer"}
    assert read("apis", **base, credential={"secret": "secret:k"}).credential == {"secret": "k", "as": "bearer"}
    assert read("apis", **base, credential={"secret": "k", "as": "header", "header": "x-key"}).credential == {
        "secret": "k",
        "as": "header",
        "header": "x-key",
    }
    assert read("apis", **base).credential == {}
    for wrong in (
        "k",
        {"as": "bearer"},
        {"secret": "k", "as": "magic"},
        {"secret": "k", "as": "header"},
        {"secret": "k", "header": "x"},
        ["k"],
        {"secret": "a b"},
    ):
        with pytest.raises(InvalidConfig):
            read("apis", **base, credential=wrong)


def test_a_server_is_reached_or_started_never_both() -> None:
    assert read("servers", url="https://a.example").url == "https://a.example"
    assert read("servers", command=["mcp", "--stdio"]).command == ("mcp", "--stdio")
    assert read("servers", command=["mcp"], environment={"A": "b"}).environment == {"A": "b"}
    impossible: tuple[dict[str, Any], ...] = (
        {},
        {"command": []},
        {"command": [""]},
        {"url": "https://a.example", "command": ["x"]},
        {"url": "https://a.example", "environment": {"A": "b"}},
        {"command": ["x"], "environment": {"KEY": "secret:k"}},
        {"command": "rm -rf /"},
        {"command": ["x"], "trust": "fully"},
        {"command": ["x"], "labels": ["Not A Label"]},
        {"command": ["x"], "tools": {"t": {"effect": "maybe"}}},
        {"command": ["x"], "tools": {"t": {"confirmed": True}}},
    )
    for wrong in impossible:
        with pytest.raises(InvalidConfig):
            read("servers", **wrong)


def test_nothing_relaxes_by_default() -> None:
    """R-P2: what is not declared is the careful reading."""
    server = read("servers", command=["x"], tools={"t": {}})
    assert (server.trust, server.profiles["t"].effect, server.profiles["t"].external) == ("untrusted", "irreversible", True)
    model = read("models", provider="openai", url="https://a.example")
    assert (model.trust, model.accepts) == ("untrusted", frozenset())
    agent = read("agents", owner="a", purpose="p")
    assert (agent.autonomous, agent.scopes, agent.status) == (False, (), "draft")
    assert read("apis", url="https://a.example").methods == {"GET"}


@pytest.mark.parametrize("rate", ["0/s", "10", "10/x", "-1/s", "1.5/s", "10 /s", "10/s ", "9999999999/s", "10/S"])
def test_rates_are_read_in_one_way(rate: str) -> None:
    with pytest.raises(InvalidConfig):
        read("models", provider="openai", url="https://a.example", rate=rate)
