"""Tool profiles: what is guessed of a server's tools and why; confirm, correct, from a file."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ostiary.cli.client import Client, segment
from ostiary.cli.options import PLAIN, Out
from ostiary.cli.output import say
from ostiary.core.errors import InvalidConfig, NotFound
from ostiary.settings import nearest

FIELDS = ("control", "payload", "attested", "directory", "labels")
KNOWN = frozenset({*FIELDS, "effect", "external"})
COLUMNS = ("tool", "state", "effect", "external", "control", "payload", "attested", "directory", "labels")
Flag = Annotated[bool, Parameter(negative=())]


def profile(
    server: str,
    tool: str = "",
    *,
    confirm: Flag = False,
    unconfirm: Flag = False,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    effect: Literal["read", "reversible", "irreversible"] | None = None,
    control: str | None = None,
    payload: str | None = None,
    attested: str | None = None,
    directory: str | None = None,
    labels: str | None = None,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    template: Flag = False,
    why: str = "",
    out: Out = PLAIN,
) -> None:
    """Show what is guessed of a server's tools and why; confirm it, correct it, or take it from a file.

    Parameters
    ----------
    confirm:
        The guess is right, for this tool or for all that are not confirmed yet.
    unconfirm:
        Make it a guess again, for this tool or for all.
    set_:
        Correct one field of one tool and confirm it: `control=to,amount`, `effect=read`, `external=false`; repeat for several.
    effect:
        What the tool does to the world.
    control:
        Arguments that decide where the effect goes, with commas.
    payload:
        Arguments that are prose.
    attested:
        Result fields the system of record vouches for, as dotted paths.
    directory:
        Result fields that are a trusted list.
    labels:
        Confidentiality labels on all it returns.
    from_:
        A YAML file as `--template` prints it.
    template:
        Print such a file, with the reasons as comments.
    why:
        Why, for the record.
    """
    given = {"effect": effect, "control": control, "payload": payload, "attested": attested, "directory": directory, "labels": labels}
    changes = {**_settings(set_ or []), **{key: _value(key, value) for key, value in given.items() if value is not None}}
    if sum((confirm, unconfirm, bool(changes), from_ is not None, template)) > 1:
        raise InvalidConfig("only one of --confirm, --unconfirm, --from, --template and changes at a time")
    place = _Place(Client.of_place(), f"/v1/servers/{segment(server)}/profiles", server, tool, why)
    if from_ is not None:
        found = place.put(_from_file(from_, server))
    elif changes:
        found = place.change(changes)
    elif confirm or unconfirm:
        found = place.confirm() if confirm else place.unconfirm()
    elif template:
        sys.stdout.write("\n".join(_template(server, place.chosen())) + "\n")
        return
    else:
        found = place.chosen()
    _show([each for each in found if tool in ("", each["tool"])], tool, out)


@dataclass(frozen=True, slots=True)
class _Place:
    """The profiles of one server, or of one tool of it, behind the API."""

    client: Client
    path: str
    server: str
    tool: str
    why: str

    def chosen(self) -> list[dict[str, Any]]:
        """Return what is understood of the tools meant. Raises NotFound with the nearest name."""
        found: list[dict[str, Any]] = self.client.get(self.path)["items"]
        chosen = [each for each in found if self.tool in ("", each["tool"])]
        if self.tool and not chosen:
            near = nearest(self.tool, {each["tool"] for each in found})
            raise NotFound(f"server `{self.server}` offers no tool `{self.tool}`{near}", remedy=f"ostiary server profile {self.server}")
        return chosen

    def put(self, tools: dict[str, Any]) -> list[dict[str, Any]]:
        """Confirm these profiles."""
        found: list[dict[str, Any]] = self.client.put(self.path, {"tools": tools, "why": self.why})["items"]
        return found

    def change(self, changes: dict[str, Any]) -> list[dict[str, Any]]:
        """Confirm what holds of one tool, with changes."""
        if not self.tool:
            raise InvalidConfig("say which tool is to be changed", remedy=f"ostiary server profile {self.server} TOOL --set control=…")
        (now,) = self.chosen()
        return self.put({self.tool: {**now["profile"], **changes, "digest": now["digest"]}})

    def confirm(self) -> list[dict[str, Any]]:
        """Confirm the guesses that were just looked at."""
        chosen = self.chosen()
        seen = {each["tool"]: each["digest"] for each in chosen if each["digest"] and (self.tool or each["state"] != "confirmed")}
        return self._sent("confirm", seen, chosen)

    def unconfirm(self) -> list[dict[str, Any]]:
        """Make profiles guesses again."""
        chosen = self.chosen()
        return self._sent("unconfirm", [each["tool"] for each in chosen if self.tool or each["state"] != "guess"], chosen)

    def _sent(self, verb: str, tools: Any, chosen: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not tools:
            return chosen
        found: list[dict[str, Any]] = self.client.post(f"{self.path}/{verb}", {"tools": tools, "why": self.why})["items"]
        return found


def _settings(words: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in KNOWN:
            raise InvalidConfig(f"`--set {word}` must be KEY=VALUES with one of {', '.join(sorted(KNOWN))}{nearest(key, KNOWN)}")
        found[key] = _value(key, value)
    return found


def _value(key: str, text: str) -> Any:
    if key in FIELDS:
        return sorted({item.strip() for item in text.split(",") if item.strip()})
    if key == "external":
        if text not in {"true", "false"}:
            raise InvalidConfig(f"`external` must be true or false, got `{text[:32]}`")
        return text == "true"
    return text


def _show(found: list[dict[str, Any]], tool: str, out: Any) -> None:
    """Print one tool with its reasons, or the table of all."""
    if tool and found:
        each = found[0]
        told = {f"why {name}": text for name, text in each["why"].items()} | ({"problems": each["problems"]} if each["problems"] else {})
        out.one(each if out.json else {"tool": tool, "state": each["state"], "digest": each["digest"], **each["profile"], **told})
        return
    rows = found if out.json else [{**each, **each["profile"]} for each in found]
    out.many(rows, COLUMNS, empty="none: a server's tools are known once it was reached")
    waiting = sum(each["state"] != "confirmed" for each in found)
    if waiting and not out.json:
        say(f"{waiting} not confirmed: they count as irreversible and external, and what they return vouches for nothing")


def _from_file(file: Path, server: str) -> dict[str, Any]:
    """Read a file of the declaration's shape: `tools:`, or `servers: {NAME: {tools: …}}`."""
    from ostiary.governance.shapes import profile as read
    from ostiary.governance.strict_yaml import parse

    document = parse(file.read_text("utf-8"), file.name)
    top = document.only("the file", frozenset({"tools", "servers"}))
    node = top.get("tools")
    if node is None and "servers" in top:
        servers = top["servers"].mapping("`servers`")
        if server not in servers:
            top["servers"].refuse(f"there is no `{server}` in servers{nearest(server, set(servers))}")
        node = servers[server].mapping(f"server `{server}`").get("tools")
    tools = node.mapping("`tools`") if node is not None else {}
    if not tools:
        document.refuse("there are no `tools`", remedy=f"ostiary server profile {server} --template")
    return {name: _plain(read(f"tool `{server}/{name}`", each), each.plain()) for name, each in tools.items()}


def _plain(profile: Any, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a profile that was read and checked, in the API's fields."""
    sets = {field: sorted(getattr(profile, field)) for field in FIELDS}
    return {"effect": profile.effect, "external": profile.external, **sets, "digest": str(written.get("digest") or "")}


def _template(server: str, found: list[dict[str, Any]]) -> Iterator[str]:
    yield f"# What the tools of server `{server}` mean. Correct what is wrong, then: ostiary server profile {server} --from FILE"
    yield "# effect: read, reversible, irreversible · control: decides where the effect goes · payload: prose"
    yield "# attested: result fields the system vouches for · directory: result fields that are a trusted list"
    yield "tools:"
    for each in found:
        if not each["digest"]:
            continue
        profile, why = each["profile"], each["why"]
        yield f"  {_word(each['tool'])}:  # {each['state']}"
        yield f"    digest: {each['digest']}"
        yield f"    effect: {profile['effect']}  # {_comment(why.get('effect', ''))}"
        yield f"    external: {str(profile['external']).lower()}  # {_comment(why.get('external', ''))}"
        for field in FIELDS:
            names = why if field in {"control", "payload"} else {}
            said = "; ".join(f"{name}: {names[name]}" for name in profile[field] if name in names) or why.get(field, "")
            yield f"    {field}: [{', '.join(map(_word, profile[field]))}]" + (f"  # {_comment(said)}" if said else "")


def _word(text: str) -> str:
    """Return a word that YAML reads as it stands, whoever wrote it."""
    is_plain = text.isascii() and text.replace("_", "a").replace("-", "a").replace(".", "a").isalnum() and text[0].isalpha()
    return text if is_plain and text.lower() not in {"true", "false", "null", "yes", "no", "on", "off", "y", "n"} else json.dumps(text)


def _comment(text: str) -> str:
    """Return text that stays in its comment."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())[:200]
