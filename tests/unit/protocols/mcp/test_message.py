"""JSON-RPC as MCP uses it."""

import json

import pytest

from ostiary.core.decision import refuse
from ostiary.protocols.mcp import message as rpc


def _read(value: object) -> rpc.Message:
    return rpc.read(json.dumps(value).encode(), 10_000)


def test_requests_notifications_and_responses_are_told_apart() -> None:
    """R-B5: by what they carry, never by guess."""
    request = _read({"jsonrpc": "2.0", "id": "a", "method": "ping"})
    notification = _read({"jsonrpc": "2.0", "method": "notifications/initialized"})
    response = _read({"jsonrpc": "2.0", "id": 4, "result": {"a": 1}})
    assert (request.is_request, notification.is_request, response.is_request) == (True, False, False)
    assert response.reply == {"result": {"a": 1}}


@pytest.mark.parametrize(
    "value",
    [
        [],
        "ping",
        {"jsonrpc": "1.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "id": None, "method": "ping"},
        {"jsonrpc": "2.0", "id": "x" * 257, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1, "method": ""},
        {"jsonrpc": "2.0", "id": 1, "method": "x" * 129},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "result": {}, "error": {"code": 1, "message": ""}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": "1", "message": ""}},
        {"jsonrpc": "2.0", "id": 1, "result": 7},
        {"jsonrpc": "2.0", "id": 1, "method": "ping", "extra": 1},
        {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": []},
        {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"_META": {}}},
        {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"_meta": []}},
    ],
)
def test_anything_else_is_refused(value: object) -> None:
    """R-B5: nothing is repaired."""
    with pytest.raises(rpc.RpcError):
        _read(value)


def test_refusals_have_the_promised_codes() -> None:
    """R-B5: SURFACE.md, refusals on the MCP wire."""
    assert rpc.refused(1, refuse("forbidden", "no"), "d")["error"]["code"] == -32003
    held = rpc.refused(1, refuse("held", "wait", approval={"id": "a"}), "d")["error"]
    assert (held["code"], held["data"]["approval"]) == (-32004, {"id": "a"})
    assert rpc.refused(1, refuse("unknown_method", "no"), "d")["error"]["code"] == -32601
    assert rpc.refused(1, refuse("forbidden", "no"), "d")["error"]["data"]["decision"] == "d"
