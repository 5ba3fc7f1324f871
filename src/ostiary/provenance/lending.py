"""Trust the user lends to a source: bounded to one object, one kind of value, or to reading alone."""

from collections.abc import Mapping
from typing import Any

from ostiary.core.action import Action, Origins
from ostiary.provenance import answers, forms
from ostiary.provenance.asked import deeds_in
from ostiary.provenance.flow import Flow, object_keys
from ostiary.provenance.profile import is_naming
from ostiary.provenance.store import ValueIndex
from ostiary.provenance.tracing import READABLE, links
from ostiary.provenance.words import fold, tokens

MAX_SCANNED = 8_192
"""Characters of one answer that are searched for values to lend; a longer answer lends nothing."""
MAX_LINKS = 64


def lend(flow: Flow, action: Action, origins: Origins, content: Any, place: str, *, is_trusted: bool) -> None:
    """Lend what an answer holds, as far as a person's acts and the user's words allow. `place` is where the answer stands."""
    index = flow.index
    if flow.lent:
        _lend_named(flow, action, content, place)
    if not origins.arguments or set(origins.arguments.values()) != {"user"} or flow.is_revoked(action.name):
        return
    wanted = {kind for value in action.arguments.values() if isinstance(value, str) for kind in index.wants(value)}
    if wanted:
        _lend_only(index, action, content, wanted)
    if is_trusted and index.request.speaks_of_links:
        found = [link for text in _texts(index, content) for link in links(text)][:MAX_LINKS]
        index.trust([f"{READABLE}{forms.link_key(forms.trim_link(link))}" for link in found], index.source("lent", action.name))


def _lend_only(index: ValueIndex, action: Action, content: Any, wanted: set[str]) -> None:
    """Lend what the user said is to be found here, when it is a kind of which the answer holds exactly one value."""
    texts = _texts(index, content)
    if index.has_forgotten:
        return
    found: dict[str, set[str]] = {kind: set() for kind in wanted}
    for text in texts:
        for value in forms.scan(text):
            if value.kind in wanted:
                found[value.kind].update(value.keys)
    for keys in found.values():
        if len(keys) == 1:
            index.trust(keys, index.source("lent", action.name))


def _lend_named(flow: Flow, action: Action, content: Any, place: str) -> None:
    """When the answer stands where trust was lent, or the call asked for a lent object by name, its values are lent.

    A search for its name does not do: what is found may be anybody's. Nor does another server's thing of that number, nor an error.
    """
    if isinstance(content, Mapping) and content.get("isError"):
        return
    asked = [key for name, value in action.arguments.items() if is_naming(name) for key in object_keys(value)]
    name = next((flow.keys[key] for key in asked if key in flow.keys), None)
    if name is None or not flow.is_of(name, action.name.partition("/")[0]):
        lent = flow.lent.get(place)
        if lent is None or lent.kind != "source" or lent.is_revoked:
            return
        name = place
    source = flow.index.source("lent", name)
    for text in _texts(flow.index, content):
        flow.speaks(name, deeds_in(text, map(fold, tokens(text))))
        flow.index.trust([key for found in forms.scan(text) for key in found.keys], source)


def _texts(index: ValueIndex, content: Any) -> list[str]:
    texts = [text for tree, _ in answers.trees(content) for text in answers.strings(tree, index)]
    return texts if sum(map(len, texts)) <= MAX_SCANNED else []
