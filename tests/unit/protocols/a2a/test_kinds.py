"""Reading the A2A wire: one spelling, known fields only, and written again from values (R-K1)."""

import re
from typing import Any

import pytest

from ostiary.core.errors import InvalidAction
from ostiary.protocols.a2a import shapes
from ostiary.protocols.a2a.errors import A2aError
from ostiary.protocols.a2a.kinds import BadField, Shape, snake
from ostiary.protocols.a2a.request import check_version, of_http
from ostiary.protocols.a2a.shapes import CARD, MESSAGE, PART, SEND, TASK
from tests.support.shared_data import shared

PROTO = (shared("data/a2a") / "a2a-1.0.1.proto").read_text()
FIELD = re.compile(r"^ *(?:repeated |optional )?(?:map<[^>]+>|[\w.]+) (\w+) = \d+", re.MULTILINE)


def proto_fields(message: str) -> dict[str, str]:
    """Return the fields of a message of the .proto with their lines."""
    body = re.search(rf"^message {message} \{{\n(.*?)^\}}", PROTO, re.MULTILINE | re.DOTALL)
    assert body is not None, message
    lines = [line for line in body[1].splitlines() if not line.strip().startswith("//")]
    return {match[1]: line for line in lines if (match := FIELD.match(line)) and match[1] != "option"}


@pytest.mark.parametrize("shape", [each for each in vars(shapes).values() if isinstance(each, Shape)], ids=lambda shape: shape.name)
def test_every_field_of_the_protocol_is_known(shape: Shape) -> None:
    """R-K1: the shapes are those of the normative .proto: names, what is required, what has presence."""
    if shape.name == "SubscribeToTaskRequest":
        assert set(proto_fields(shape.name)) == {"tenant", "id"}
        return
    lines = proto_fields(shape.name)
    fields = {snake(each.name): each for each in shape.fields}
    assert fields.keys() == lines.keys()
    for name, line in lines.items():
        loose = name == "task_id" and shape.name == "TaskPushNotificationConfig"
        assert loose or fields[name].required == ("= REQUIRED" in line), f"{shape.name}.{name}"
        assert fields[name].optional == line.strip().startswith("optional"), f"{shape.name}.{name}"


def test_both_spellings_are_one() -> None:
    """R-K1: ProtoJSON accepts the .proto's names; what goes on is camelCase."""
    written = {"message_id": "m", "role": "ROLE_USER", "parts": [{"text": "x", "media_type": "text/plain"}], "context_id": None}
    assert MESSAGE(written) == {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x", "mediaType": "text/plain"}]}


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"message": {"messageId": "m", "role": "ROLE_USER", "parts": []}}, "message.parts"),
        ({"message": {"messageId": "", "role": "ROLE_USER", "parts": [{"text": "x"}]}}, "message.messageId"),
        ({"message": {"messageId": "m", "role": "user", "parts": [{"text": "x"}]}}, "message.role"),
        ({"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": 1}]}}, "message.parts[0].text"),
        ({"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{}]}}, "message.parts[0]"),
        ({"message": []}, "message"),
        ({}, "message"),
        (
            {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": "x"}]}, "configuration": {"historyLength": 2**40}},
            "configuration.historyLength",
        ),
    ],
)
def test_errors_name_the_place(value: Any, place: str) -> None:
    with pytest.raises(BadField) as caught:
        SEND(value)
    assert caught.value.place == place


def test_values_are_brought_into_one_form() -> None:
    assert PART({"raw": "_-8"}) == {"raw": "/+8="}
    assert PART({"data": None}) == {"data": None}
    assert SEND({"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": ""}]}})["message"]["parts"] == [{"text": ""}]
    with pytest.raises(InvalidAction, match="UTC"):
        TASK({"id": "t", "status": {"state": "TASK_STATE_WORKING", "timestamp": "2026-01-01T00:00:00+02:00"}})


def test_an_upstreams_small_omissions_are_no_error() -> None:
    """R-K1: SDKs leave out what is empty, required or not."""
    assert TASK({"id": "t", "status": {}, "artifacts": [{"artifactId": "a"}]}, "", False) == {
        "id": "t",
        "status": {},
        "artifacts": [{"artifactId": "a"}],
    }


def test_the_specifications_card_is_read() -> None:
    """R-K1: the sample of section 8.5."""
    text = (shared("data/a2a") / "specification.md").read_text()
    import json

    sample = json.loads(text[text.index("### 8.5. Sample Agent Card") :].split("```json\n", 1)[1].split("\n```", 1)[0])
    assert CARD(sample)["name"] == sample["name"]
    assert CARD(CARD(sample)) == CARD(sample)


@pytest.mark.parametrize(
    ("header", "is_spoken"), [("1.0", True), ("1.0.1", True), ("0.3", False), ("", False), ("2.0", False), ("1", False), ("1.0x", False)]
)
def test_versions(header: str, is_spoken: bool) -> None:
    """R-K1: 1.0 with any patch; none said means 0.3."""
    if is_spoken:
        check_version({"a2a-version": header}, b"")
        check_version({}, f"A2A-Version={header}".encode())
        return
    with pytest.raises(A2aError):
        check_version({"a2a-version": header}, b"")


@pytest.mark.parametrize(
    ("method", "path", "name", "params"),
    [
        ("GET", "tasks/a", "GetTask", {"id": "a"}),
        ("POST", "tasks/a:cancel", "CancelTask", {"id": "a"}),
        ("GET", "tasks/a:subscribe", "SubscribeToTask", {"id": "a"}),
        ("POST", "tasks/a:subscribe", "SubscribeToTask", {"id": "a"}),
        ("GET", "tasks/a/pushNotificationConfigs/c", "GetTaskPushNotificationConfig", {"taskId": "a", "id": "c"}),
        ("DELETE", "tasks/a/pushNotificationConfigs/c", "DeleteTaskPushNotificationConfig", {"taskId": "a", "id": "c"}),
        ("GET", "extendedAgentCard", "GetExtendedAgentCard", {}),
    ],
)
def test_paths(method: str, path: str, name: str, params: dict[str, str]) -> None:
    found = of_http(method, path, b"", b"")
    assert (found.operation.name, found.params) == (name, params)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "message:send"),
        ("POST", "tasks/a"),
        ("GET", "tasks//pushNotificationConfigs"),
        ("GET", "x"),
        ("DELETE", "tasks/a"),
        ("GET", "tasks/a/b/c/d"),
    ],
)
def test_other_paths_are_not_served(method: str, path: str) -> None:
    with pytest.raises(A2aError):
        of_http(method, path, b"", b"")
