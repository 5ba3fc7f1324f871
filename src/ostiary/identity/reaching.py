"""Whether a session was lent an action: by name, remembered, and by what the scope says of arguments, each time (R-B1)."""

from typing import Final

from ostiary.core.action import Action
from ostiary.core.decision import Refusal, refuse
from ostiary.identity.constraints import Constraints, exactly, unmet
from ostiary.identity.keeper import Live
from ostiary.identity.scopes import asked_of, matches

MAX_LENT: Final = 1_024


def lent(live: Live, wanted: str) -> tuple[Constraints, ...]:
    """Return what the session's scopes say of the arguments of something, none when it was not lent; one that says nothing stands for all."""
    found = live.lent.get(wanted)
    if found is None:
        if len(live.lent) >= MAX_LENT:
            live.lent.clear()
        said = tuple(asked_of(scope) for scope in live.kept.scopes if matches(scope, wanted))
        found = live.lent[wanted] = said if all(said) else ({},)
    return found


def out_of_scope(live: Live, action: Action) -> tuple[Refusal, str] | None:
    """Return why an action was not lent, with the scope that would lend it, empty when none can be written."""
    found = lent(live, action.scope)
    if not found:
        wanted = action.scope[:200]
        refusal = refuse("out_of_scope", f"the session was not lent `{wanted}`", remedy=f"open a session with the scope `{wanted}`")
        return refusal, action.scope
    if not found[0] or action.scope != f"tool:{action.name}":
        return None
    missing = [unmet(each, action.arguments) for each in found]
    if not all(missing):
        return None
    detail = f"the session was lent `{action.scope[:200]}` only for other values of `{missing[0][:100]}`"
    said = exactly(found[0], action.arguments)
    return refuse("out_of_scope", detail, remedy="open a session that was lent this value"), f"{action.scope}?{said}" if said else ""
