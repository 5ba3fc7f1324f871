"""What is known of one session's values, labels and lent trust; as bytes for a restart or another worker."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ostiary.core.errors import Conflict, NotFound
from ostiary.core.subject import Integrity
from ostiary.provenance.keys import keys_of
from ostiary.provenance.labels import Label
from ostiary.provenance.store import ValueIndex, pack
from ostiary.provenance.tracing import plain_key

MAX_LENT = 64
"""Objects, plans and sources a person may lend trust to in one session."""


@dataclass(frozen=True, slots=True)
class Lent:
    """Trust a person lent, for one session, to one thing: an object by its name, an answer by its place, the values of a plan."""

    name: str
    kind: str
    """`object`, `source`, `plan`; `words` when the user's request pointed there by itself."""
    by: str = ""
    at: float = 0.0
    reason: str = ""
    is_revoked: bool = False
    deeds: tuple[str, ...] = ()
    """What it asks to be done, of the deeds that must be asked for: of the approved call, of the object's text once it was read."""
    server: str = ""
    """Of an object: whose it is. Another server's thing of the same number is another object. Empty until it is read."""


@dataclass(slots=True)
class Flow:
    """What is known of one session."""

    index: ValueIndex = field(default_factory=ValueIndex)
    label: Label = field(default_factory=Label)
    years: frozenset[int] = frozenset()
    is_heard: bool = False
    is_joined: bool = False
    """False until labels kept over a restart are on the session again."""
    answers: int = 0
    """The session's count of answers when the last one was taken; behind the session's own, something was lost."""
    lent: dict[str, Lent] = field(default_factory=dict)
    """By name, the revoked ones too: what a person took back is not lent again by the user's words."""
    keys: dict[str, str] = field(default_factory=dict)
    """Keys of the objects trust is lent to now, with their names."""
    deeds: frozenset[str] = frozenset()
    """What everything that trust is lent to asks to be done."""

    def add(self, lent: Lent) -> None:
        """Lend trust to one more thing. Raises Conflict past the limit."""
        if lent.name not in self.lent and len(self.lent) >= MAX_LENT:
            raise Conflict(f"trust is lent to {MAX_LENT} things in this session already", remedy="open a session for the rest")
        self.lent[lent.name] = lent
        self._take_stock()

    def speaks(self, name: str, deeds: set[str]) -> None:
        """Note what an object that trust is lent to asks to be done."""
        lent = self.lent[name]
        if not deeds.issubset(lent.deeds):
            self.lent[name] = replace(lent, deeds=tuple(sorted(deeds.union(lent.deeds))))
            self._take_stock()

    def is_of(self, name: str, server: str) -> bool:
        """Say whether an object that trust is lent to is this server's; the first to answer with it is whose it is."""
        lent = self.lent[name]
        if not lent.server:
            self.lent[name] = lent = replace(lent, server=server)
        return lent.server == server

    def read_from(self, name: str) -> str:
        """Return the server an object was read from so far, empty for none. Raises Conflict when there are several."""
        keys, found = set(object_keys(name)), set()
        for source in self.index.sources:
            tool, _, asked = source.name.partition(" ")
            if source.origin == "untrusted" and keys.intersection(object_keys(asked.partition("=")[2])):
                found.add(tool.partition("/")[0])
        if len(found) > 1:
            several = ", ".join(f"`{each}`" for each in sorted(found)[:4])
            raise Conflict(f"`{name[:64]}` was read from {several}: which one is meant", remedy="name the place, as `mail/read id=77`")
        return next(iter(found), "")

    def revoke(self, name: str, by: str, at: float, reason: str) -> Lent:
        """Take trust back: nothing that was lent under this name is lent any more. Raises NotFound."""
        known = next((lent for lent in self.all_lent() if lent.name == name and not lent.is_revoked), None)
        if known is None:
            raise NotFound(f"no trust is lent to `{name[:64]}` in this session", remedy="ostiary session show ID")
        self.lent[name] = revoked = Lent(name, known.kind, by, at, reason, is_revoked=True)
        self.index.distrust(self.index.source("lent", name))
        self._take_stock()
        return revoked

    def all_lent(self) -> list[Lent]:
        """Return what trust is or was lent to, by a person's act or by the user's own words."""
        words = [Lent(source.name, "words") for source in self.index.sources if source.origin == "lent" and source.name not in self.lent]
        return [*self.lent.values(), *words]

    def is_revoked(self, name: str) -> bool:
        """Say whether trust in this was taken back."""
        lent = self.lent.get(name)
        return lent is not None and lent.is_revoked

    def _take_stock(self) -> None:
        self.deeds = frozenset(deed for lent in self.lent.values() if not lent.is_revoked for deed in lent.deeds)
        self.keys = {
            key: lent.name for lent in self.lent.values() if lent.kind == "object" and not lent.is_revoked for key in object_keys(lent.name)
        }


def object_keys(value: Any) -> list[str]:
    """Return the keys an object is called by: its words as they stand (`077` is not 77), an address or account in canonical form."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return []
    text = str(value)
    canonical = [key for key in keys_of(text, "", "") if key[:2] in {"e:", "u:", "i:"}]
    return [f"w:{plain_key(text)}", *canonical]


def snapshot(flow: Flow) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a copy of what is known that no later answer changes: taken on the event loop, written from anywhere."""
    head = {
        "labels": sorted(flow.label.confidentiality),
        "integrity": flow.label.integrity.value,
        "years": sorted(flow.years),
        "heard": flow.is_heard,
        "answers": flow.answers,
        "lent": [asdict(lent) for lent in flow.lent.values()],
    }
    return head, flow.index.state()


def packed(taken: tuple[Mapping[str, Any], dict[str, Any]]) -> bytes:
    """Return a snapshot as bytes."""
    head, values = taken
    return json.dumps(head, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n" + pack(values)


def unpacked(dumped: bytes) -> Flow:
    """Return the flow `packed` wrote. Raises ValueError when it is anything else."""
    head, separator, body = dumped.partition(b"\n")
    if not separator:
        raise ValueError("not the values of a session: no head")
    try:
        state = json.loads(head.decode("utf-8", "surrogatepass"))
        flow = Flow(
            index=ValueIndex.load(body),
            label=Label(Integrity(state["integrity"]), frozenset(map(str, state["labels"]))),
            years=frozenset(map(int, state["years"])),
            is_heard=bool(state["heard"]),
            answers=int(state["answers"]),
        )
        for each in state["lent"][:MAX_LENT]:
            flow.add(Lent(**{**each, "deeds": tuple(each.get("deeds", ()))}))
    except (KeyError, TypeError, AttributeError, Conflict) as error:
        raise ValueError(f"not the values of a session: {error}") from error
    return flow
