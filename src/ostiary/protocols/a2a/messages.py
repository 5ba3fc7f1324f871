"""Between the wire and the action: what of a message is decided about, what goes to the agent, whose names stand where."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from ostiary.core.errors import UpstreamUnavailable
from ostiary.protocols.a2a.shapes import TERMINAL

Rename = Callable[[str], str]
_PLAIN: Final = frozenset({"text"})
_PAYLOADS: Final = ("task", "message", "statusUpdate", "artifactUpdate")


def arguments_of(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message to send as the arguments of the delegation: all that will reach the agent, and nothing twice.

    A message of one plain text is `text`, which a policy can read; anything else is `parts`.
    """
    message, configuration = params["message"], params.get("configuration", {})
    parts = message["parts"]
    plain = len(parts) == 1 and parts[0].keys() == _PLAIN
    found: dict[str, Any] = {"text": parts[0]["text"]} if plain else {"parts": parts}
    for name in ("messageId", "taskId", "contextId", "referenceTaskIds", "metadata", "extensions"):
        if name in message:
            found[name] = message[name]
    if "metadata" in params:
        found["requestMetadata"] = params["metadata"]
    settings = {name: value for name, value in configuration.items() if name != "taskPushNotificationConfig"}
    if settings:
        found["configuration"] = settings
    if "taskPushNotificationConfig" in configuration:
        found["notify"] = configuration["taskPushNotificationConfig"]["url"]
    return found


def request_of(arguments: Mapping[str, Any], their_context: str, push: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the agent is sent, from the arguments as the controls left them."""
    message: dict[str, Any] = {"messageId": arguments["messageId"], "role": "ROLE_USER"}
    message["parts"] = [{"text": arguments["text"]}] if "text" in arguments else arguments["parts"]
    for name in ("taskId", "referenceTaskIds", "metadata", "extensions"):
        if name in arguments:
            message[name] = arguments[name]
    if their_context:
        message["contextId"] = their_context
    request: dict[str, Any] = {"message": message}
    configuration = dict(arguments.get("configuration", {})) | ({"taskPushNotificationConfig": push} if push else {})
    if configuration:
        request["configuration"] = configuration
    if "requestMetadata" in arguments:
        request["metadata"] = arguments["requestMetadata"]
    return request


def renamed(payload: Mapping[str, Any], rename: Rename) -> dict[str, Any]:
    """Return a response or event of the agent with its contexts under the names the caller knows."""
    return {kind: _renamed(value, rename) if kind in _PAYLOADS else value for kind, value in payload.items()}


def task_renamed(task: Mapping[str, Any], rename: Rename) -> dict[str, Any]:
    """The same for a task."""
    return _renamed(task, rename)


def _renamed(value: Mapping[str, Any], rename: Rename) -> dict[str, Any]:
    found = dict(value)
    if found.get("contextId"):
        found["contextId"] = rename(found["contextId"])
    if "history" in found:
        found["history"] = [_renamed(message, rename) for message in found["history"]]
    message = found["status"].get("message") if isinstance(found.get("status"), Mapping) else None
    if message is not None:
        found["status"] = {**found["status"], "message": _renamed(message, rename)}
    return found


def task_of(payload: Mapping[str, Any]) -> tuple[str, str]:
    """Return the task and the context a response or event speaks of; empty for a message without a task."""
    for kind in _PAYLOADS:
        value = payload.get(kind)
        if value is not None:
            return str(value.get("id" if kind == "task" else "taskId", "")), str(value.get("contextId", ""))
    return "", ""


def status_of(payload: Mapping[str, Any]) -> tuple[str, str]:
    """Return the state a response or event tells, and its moment; empty when it tells none."""
    value = payload.get("task") or payload.get("statusUpdate")
    status = value.get("status", {}) if value is not None else {}
    return str(status.get("state", "")), str(status.get("timestamp", ""))


def is_terminal(state: str) -> bool:
    """Say whether a task in this state is over."""
    return state in TERMINAL


def check_task(payload: Mapping[str, Any], task: str) -> None:
    """Refuse an answer about another task than was asked for. Raises UpstreamUnavailable."""
    spoken, _ = task_of(payload)
    if spoken != task and not ("message" in payload and not spoken):
        raise UpstreamUnavailable("the agent answered about another task than it was asked for")
