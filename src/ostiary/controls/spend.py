"""What model calls cost a session: reserved before, charged after, so that parallel calls cannot overdraw a budget (R-B1)."""

from collections.abc import Mapping
from typing import Any, Final

from ostiary.core.action import Action
from ostiary.core.decision import Refusal, refuse
from ostiary.core.pipeline import Passage
from ostiary.core.ports import RegistrySource
from ostiary.core.registry import Model
from ostiary.core.subject import Session

BYTES_A_TOKEN: Final = 3
"""An estimate on the dear side: English has about four bytes a token, code and other scripts fewer."""
ASSUMED_OUTPUT: Final = 4096
"""Tokens an answer may have when the request does not bound it."""
_MAX_NAMES: Final = ("max_completion_tokens", "max_tokens")
_INPUT: Final = ("prompt_tokens", "input_tokens")
_CACHED: Final = ("cache_creation_input_tokens", "cache_read_input_tokens")
"""Anthropic counts these beside `input_tokens`; OpenAI's stand inside `prompt_tokens`."""
_OUTPUT: Final = ("completion_tokens", "output_tokens")
MILLION: Final = 1_000_000


class Spend:
    """Open reservations by passage. Prices are micro-units of the deployment's currency for a million tokens."""

    def __init__(self, registry: RegistrySource) -> None:
        self._registry = registry
        self._reserved: dict[str, tuple[tuple[str, ...], int]] = {}
        self._by_session: dict[str, int] = {}

    def reserve(self, passage: Passage) -> Refusal | None:
        """Set aside what the call may cost at most, or refuse it when the session's budget does not hold that."""
        session, action = passage.acting
        model = self._model(action)
        if model is None:
            return None
        bounded = [(each, each.limits.spend) for each in session.line if each.limits.spend is not None]
        if not bounded:
            return None
        most = _cost(model, len(action.encoded_arguments) // BYTES_A_TOKEN + 1, _bound(action.arguments))
        left = min(most_of_it - each.state.spent - self._by_session.get(each.id, 0) for each, most_of_it in bounded)
        if most > left:
            return refuse(
                "budget_spent",
                f"the call may cost {most / MILLION:g} and the session's budget has {max(0, left) / MILLION:g} left",
                remedy="bound the answer with max_tokens, or open a session with a larger budget",
            )
        names = tuple(each.id for each, _ in bounded)
        self._reserved[passage.id] = (names, most)
        for name in names:
            self._by_session[name] = self._by_session.get(name, 0) + most
        return None

    def charge(self, passage: Passage, content: Any) -> None:
        """Charge what the answer says it used, or an estimate when it does not say; `content` None: it never ran."""
        names, most = self._reserved.pop(passage.id, ((), 0))
        for name in names:
            self._free(name, most)
        if content is None or passage.session is None or passage.action is None:
            return
        model = self._model(passage.action)
        if model is not None:
            passage.cost = _used(model, passage.action, content)
            self._spent(passage.session, passage.cost)

    def _free(self, session_id: str, amount: int) -> None:
        left = self._by_session.get(session_id, 0) - amount
        if left > 0:
            self._by_session[session_id] = left
        else:
            self._by_session.pop(session_id, None)

    def _spent(self, session: Session, amount: int) -> None:
        for each in session.line:
            each.state.spent += amount

    def _model(self, action: Action) -> Model | None:
        if action.resource.type != "Model":
            return None
        model = self._registry.registry.models.get(action.resource.id)
        return model if model is not None and (model.input_price or model.output_price) else None


def _used(model: Model, action: Action, content: Any) -> int:
    usage = content.get("usage") if isinstance(content, Mapping) else None
    if isinstance(usage, Mapping):
        asked, answered = _count(usage, _INPUT), _count(usage, _OUTPUT)
        if asked is not None and answered is not None:
            return _cost(model, asked + sum(_count(usage, (name,)) or 0 for name in _CACHED), answered)
    # An upstream that does not say what it used, or broke off before it could, is charged by size.
    size = len(repr(content)) if content else 0
    return _cost(model, len(action.encoded_arguments) // BYTES_A_TOKEN + 1, size // BYTES_A_TOKEN)


def _count(usage: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = usage.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None


def _bound(arguments: Mapping[str, Any]) -> int:
    bounds = [value for name in _MAX_NAMES if isinstance(value := arguments.get(name), int) and value > 0]
    answers = arguments.get("n")
    return (max(bounds) if bounds else ASSUMED_OUTPUT) * (answers if isinstance(answers, int) and answers > 1 else 1)


def _cost(model: Model, asked: int, answered: int) -> int:
    """Return micro-units, rounded up: a call is never free."""
    return -(-(asked * model.input_price + answered * model.output_price) // MILLION)
