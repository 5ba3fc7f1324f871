"""Serves `/openai/v1/…` to OpenAI's official clients, errors included."""

from collections.abc import Mapping, Sequence
from typing import Any

from ostiary.boundaries.agent_model import AgentModel
from ostiary.core.decision import Refusal
from ostiary.core.errors import UpstreamUnavailable
from ostiary.core.ports import ContentStream
from ostiary.core.registry import Model
from ostiary.protocols.model_door import MaySee, ModelDoor, members, spoken
from ostiary.protocols.openai.shape import check_chat
from ostiary.protocols.openai.stream import ChunkTranslator

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error", 202: "permission_error"}


def error_body(refusal: Refusal, decision: str) -> dict[str, Any]:
    """Return a refusal in OpenAI's error shape."""
    kind = _TYPES.get(refusal.status, "server_error" if refusal.status >= 500 else "invalid_request_error")
    return {"error": {"message": spoken(refusal), "type": kind, "param": None, **members(refusal, decision)}}


class OpenAiDialect:
    """How OpenAI-compatible upstreams are spoken to; a model's `url` ends with their `/v1`."""

    provider = "openai"

    def endpoint(self, model: Model, _verb: str) -> str:
        """Return the URL of chat completions."""
        return f"{model.url.rstrip('/')}/chat/completions"

    def headers(self, secret: str) -> Sequence[tuple[str, str]]:
        """Return the bearer header."""
        return (("authorization", f"Bearer {secret}"),) if secret else ()

    def accept(self, _verb: str, answer: Any) -> dict[str, Any]:
        """Return a chat completion. Raises UpstreamUnavailable for anything else."""
        choices = answer.get("choices") if isinstance(answer, dict) else None
        if not isinstance(choices, list) or not all(isinstance(item, dict) and isinstance(item.get("message"), dict) for item in choices):
            raise UpstreamUnavailable("the model's upstream answered what is not a chat completion")
        return dict(answer)

    def reconcile(self, answered: dict[str, Any], shaped: dict[str, Any], model: Model) -> dict[str, Any]:
        """Name the model as the registry does, and drop token lists that spell out what was redacted."""
        if model.upstream_name and model.upstream_name != model.name:
            shaped = {**shaped, "model": model.name}
        if shaped.get("choices") == answered["choices"]:
            return shaped
        return {**shaped, "choices": [{**choice, "logprobs": None} for choice in shaped["choices"]]}

    def error_message(self, body: Any) -> str:
        """Return `error.message`."""
        error = body.get("error") if isinstance(body, dict) else None
        message = error.get("message") if isinstance(error, dict) else None
        return message if isinstance(message, str) else ""


class OpenAiWire:
    """Implements `protocols.model_door.Wire`."""

    name = provider = "openai"

    def __init__(self) -> None:
        self._dialect = OpenAiDialect()

    def dialect(self, _headers: Mapping[str, str]) -> OpenAiDialect:
        """Return the one dialect there is."""
        return self._dialect

    def check(self, _verb: str, body: dict[str, Any]) -> None:
        """Check a chat completion request. Raises InvalidAction."""
        check_chat(body)

    def error(self, refusal: Refusal, decision: str) -> dict[str, Any]:
        """Return the error body."""
        return error_body(refusal, decision)

    def model(self, model: Model) -> dict[str, Any]:
        """Return a model object."""
        return {"id": model.name, "object": "model", "created": 0, "owned_by": "ostiary"}

    def listing(self, models: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the list object."""
        return {"object": "list", "data": models}

    def translator(self, model: Model, controls: ContentStream, decision: str) -> ChunkTranslator:
        """Return the translator of one stream of chunks."""
        return ChunkTranslator(model, controls, lambda refusal: error_body(refusal, decision))


class OpenAiDoor(ModelDoor):
    """`/openai/v1`: `POST chat/completions`, `GET models`, `GET models/{id}`."""

    def __init__(self, models: AgentModel, may_see: MaySee) -> None:
        super().__init__(models, OpenAiWire(), may_see, {"chat/completions": "generate"})
