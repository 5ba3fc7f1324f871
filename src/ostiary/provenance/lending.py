"""Trust the user lends to a source: bounded to one object, one kind of value, or to reading alone."""

from collections.abc import Mapping
from typing import Any

from ostiary.core.action import Action, Origins
from ostiary.provenance import absorbing, forms
from ostiary.provenance.store import ValueIndex
from ostiary.provenance.tracing import READABLE, links

MAX_SCANNED = 8_192
"""Characters of one answer that are searched for values to lend; a longer answer lends nothing."""
MAX_LINKS = 64


def lend(index: ValueIndex, action: Action, origins: Origins, content: Any, lent: Mapping[str, str], *, is_trusted: bool) -> None:
    """Lend what an answer holds, as far as the user's words and acts allow. `lent` are the objects named by `Provenance.lend`."""
    if lent:
        _lend_object(index, action, content, lent)
    if not origins.arguments or set(origins.arguments.values()) != {"user"}:
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


def _lend_object(index: ValueIndex, action: Action, content: Any, lent: Mapping[str, str]) -> None:
    """When the call asked for a lent object by name, its values are lent."""
    asked = [key for name, value in action.arguments.items() for key in absorbing.keys_of(value, name, "")]
    name = next((lent[key] for key in asked if key in lent), None)
    if name is None:
        return
    source = index.source("lent", name)
    for text in _texts(index, content):
        index.trust([key for found in forms.scan(text) for key in found.keys], source)


def _texts(index: ValueIndex, content: Any) -> list[str]:
    texts = [text for tree, _ in absorbing.trees(content) for text in absorbing.strings(tree, index)]
    return texts if sum(map(len, texts)) <= MAX_SCANNED else []
