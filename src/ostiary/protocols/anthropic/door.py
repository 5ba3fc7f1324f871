"""Serves `/anthropic/v1/…` to Anthropic's official clients, errors included."""

from collections.abc import Mapping, Sequence
from typing import Any

from ostiary.boundaries.agent_model import AgentModel
from ostiary.core.decision import Refusal
from ostiary.core.errors import InvalidAction, UpstreamUnavailable
from ostiary.core.ports import ContentStream
from ostiary.core.registry import Model
from ostiary.protocols.anthropic.shape import check_count, check_messages
from ostiary.protocols.anthropic.stream import EventTranslator
from ostiary.protocols.model_door import MaySee, ModelDoor, members, spoken

VERSIONS = ("2026-10-21", "2023-06-01")
"""The versions of the API this wire speaks; the first is sent for clients that name none."""
_PATHS = {"generate": "messages", "count_tokens": "messages/count_tokens"}
_TYPES = {
    202: "permission_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def error_body(refusal: Refusal, decision: str) -> dict[str, Any]:
    """Return a refusal in Anthropic's error shape."""
    kind = _TYPES.get(refusal.status, "api_error" if refusal.status >= 500 else "invalid_request_error")
    error = {"type": kind, "message": spoken(refusal), **members(refusal, decision)}
    return {"type": "error", "error": error, "request_id": decision}


class AnthropicDialect:
    """How Anthropic-compatible upstreams are spoken to; a model's `url` may end with `/v1` or not."""

    provider = "anthropic"

    def __init__(self, version: str = VERSIONS[0]) -> None:
        self._version = ("anthropic-version", version)

    def endpoint(self, model: Model, verb: str) -> str:
        """Return the URL of messages or of their token count."""
        return f"{model.url.rstrip('/').removesuffix('/v1')}/v1/{_PATHS[verb]}"

    def headers(self, secret: str) -> Sequence[tuple[str, str]]:
        """Return the key and the version of the API that this wire is."""
        return (self._version, ("x-api-key", secret)) if secret else (self._version,)

    def accept(self, verb: str, answer: Any) -> dict[str, Any]:
        """Return a message or a count. Raises UpstreamUnavailable for anything else."""
        if not isinstance(answer, dict):
            raise UpstreamUnavailable("the model's upstream answered what is not an object")
        content = answer.get("content")
        is_message = answer.get("type") == "message" and isinstance(content, list) and all(isinstance(block, dict) for block in content)
        is_count = verb == "count_tokens" and isinstance(answer.get("input_tokens"), int)
        if not (is_count if verb == "count_tokens" else is_message):
            raise UpstreamUnavailable("the model's upstream answered what is not a message")
        return answer

    def reconcile(self, _answered: dict[str, Any], shaped: dict[str, Any], model: Model) -> dict[str, Any]:
        """Name the model as the registry does."""
        if model.upstream_name and model.upstream_name != model.name and "model" in shaped:
            return {**shaped, "model": model.name}
        return shaped

    def error_message(self, body: Any) -> str:
        """Return `error.message`."""
        error = body.get("error") if isinstance(body, dict) else None
        message = error.get("message") if isinstance(error, dict) else None
        return message if isinstance(message, str) else ""


class AnthropicWire:
    """Implements `protocols.model_door.Wire`."""

    name = provider = "anthropic"

    def __init__(self) -> None:
        self._dialects = {version: AnthropicDialect(version) for version in VERSIONS}

    def dialect(self, headers: Mapping[str, str]) -> AnthropicDialect:
        """Return the dialect of the version that the client speaks. Raises InvalidAction."""
        found = self._dialects.get(headers.get("anthropic-version", VERSIONS[0]))
        if found is None:
            raise InvalidAction(f"this version of the API is not spoken here: send `anthropic-version: {VERSIONS[0]}`")
        return found

    def check(self, verb: str, body: dict[str, Any]) -> None:
        """Check a request. Raises InvalidAction."""
        if verb == "count_tokens":
            check_count(body)
        else:
            check_messages(body)

    def error(self, refusal: Refusal, decision: str) -> dict[str, Any]:
        """Return the error body."""
        return error_body(refusal, decision)

    def model(self, model: Model) -> dict[str, Any]:
        """Return a model object."""
        shown: dict[str, Any] = {"type": "model", "id": model.name, "display_name": model.name}
        return shown | {"created_at": "1970-01-01T00:00:00Z", "lifecycle": "active"}

    def listing(self, models: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the one page there is."""
        first, last = (models[0]["id"], models[-1]["id"]) if models else (None, None)
        return {"data": models, "has_more": False, "first_id": first, "last_id": last}

    def translator(self, model: Model, controls: ContentStream, decision: str) -> EventTranslator:
        """Return the translator of one stream of events."""
        return EventTranslator(model, controls, lambda refusal: error_body(refusal, decision))


class AnthropicDoor(ModelDoor):
    """`/anthropic/v1`: `POST messages`, `POST messages/count_tokens`, `GET models`, `GET models/{id}`."""

    def __init__(self, models: AgentModel, may_see: MaySee) -> None:
        super().__init__(models, AnthropicWire(), may_see, {path: verb for verb, path in _PATHS.items()})
