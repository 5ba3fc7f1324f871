"""Records the user meant at second hand: what a followed text speaks of, and who paid what the user wants to give back.

Both are known apart from what the user named, for the few actions that may use them (`told.Bounds`).
"""

from collections import Counter
from typing import Any

from ostiary.provenance import forms
from ostiary.provenance.fields import MAX_SHAPED, Own, Step, Taken, is_code
from ostiary.provenance.keys import keys_of
from ostiary.provenance.profile import is_identifier
from ostiary.provenance.request import is_amount
from ostiary.provenance.store import ValueIndex
from ostiary.provenance.told import BACK, PAYERS, TOLD
from ostiary.provenance.tracing import plain_key
from ostiary.provenance.words import parts


def note(index: ValueIndex, taken: Taken, server: str, payers: int | None) -> None:
    """Note both among the records of one list; `payers` is their source, or None when the agent chose what was read."""
    for number, source in _told(index, taken).items() if index.told.words else ():
        _trust(index, taken[number][0], server, source)
    for amount in index.request.returned if payers is not None else ():
        paid = [own for own, _ in taken if any(_is_amount(value, step, amount) for value, step in own)]
        for value, step in paid[0] if len(paid) == 1 else ():
            if payers is not None and step.is_attested and not step.is_listed and not PAYERS.isdisjoint(parts(step.name)):
                index.trust([f"{BACK}{key}" for key in keys_of(value, step.name, server)], payers)


def _told(index: ValueIndex, taken: Taken) -> dict[int, int]:
    """Return the records that alone have the name by which a followed text speaks of a file or a code, each with who said so."""
    names = [
        {plain_key(value): source for value, step in own if (source := _spoken_of(index, value, step)) is not None} for own, _ in taken
    ]
    shared = Counter(name for found in names for name in found)
    return {at: source for at, found in enumerate(names) for name, source in found.items() if shared[name] == 1}


def _spoken_of(index: ValueIndex, value: Any, step: Step) -> int | None:
    if not isinstance(value, str) or not step.is_attested or len(value) > MAX_SHAPED or value.isdigit():
        return None
    return index.told.find(value) if is_code(value) or (step.is_file and "." in value) else None


def _trust(index: ValueIndex, own: Own, server: str, source: int) -> None:
    for value, step in own:
        if step.is_attested and is_identifier(step.name) and not step.is_listed:
            index.trust([f"{TOLD}{key}" for key in keys_of(value, step.name, server)], source)


def _is_amount(value: Any, step: Step, amount: str) -> bool:
    return step.is_attested and is_amount(step.name, value) and forms.number_key(value) == amount
