"""How a session's information flow is printed: a table, or a drawing in Mermaid."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from ostiary.cli.output import say

MAX_DRAWN = 8
"""Values of one source that are drawn each; more are drawn as one."""
_SAFE = frozenset({"user", "directory", "attested", "lent", "derived"})


def table(flow: dict[str, Any], out: Any) -> None:
    """Print the values with where each came from, and what somebody's text was read."""
    rows = [
        {"kind": each["kind"], "value": each["value"] if each["value"] is not None else "(sealed)", **_where(each)}
        for each in flow["values"]
    ]
    rows += [
        {"kind": "text", "value": f"{each['tokens']} words", "origin": each["origin"], "source": each["name"]}
        for each in flow["sources"]
        if each["tokens"]
    ]
    out.many(rows, ("kind", "value", "origin", "source"), empty="nothing is known yet")
    more = f"; {flow['left_out']} values are not shown" if flow["left_out"] else ""
    forgetful = "; something was forgotten, so what is not known is untrusted" if flow["forgetful"] else ""
    say(f"integrity {flow['integrity']}, labels {', '.join(flow['labels']) or 'none'}{forgetful}{more}")
    for each in flow["lent"]:
        state = "taken back" if each["revoked"] else "lent"
        say(f"trust {state}: {each['kind']} `{each['name']}`" + (f", by {each['by']}" if each["by"] else ", by the user's words"))


def mermaid(flow: dict[str, Any]) -> Iterator[str]:
    """Yield a flowchart: each source, what it is worth, and the values that came from it."""
    yield "flowchart LR"
    yield "  classDef safe fill:#e6f4ea,stroke:#137333"
    yield "  classDef unsafe fill:#fce8e6,stroke:#c5221f"
    for number, source in enumerate(flow["sources"]):
        kind = "safe" if source["origin"] in _SAFE else "unsafe"
        yield f'  s{number}["{_label(source["name"])}<br/>{_label(source["origin"])}"]:::{kind}'
        values = [each for each in flow["values"] if _where(each) == {"origin": source["origin"], "source": source["name"]}]
        drawn = [f"{each['kind']} {each['value']}" for each in values if each["value"] is not None]
        if len(drawn) != len(values) or len(drawn) > MAX_DRAWN:
            drawn = [f"{count} × {kind}" for kind, count in sorted(Counter(each["kind"] for each in values).items())]
        if source["tokens"]:
            drawn.append(f"{source['tokens']} words of text")
        for index, text in enumerate(drawn):
            yield f'  s{number} --> v{number}_{index}("{_label(text)}")'


def _where(value: dict[str, Any]) -> dict[str, Any]:
    return {"origin": value["origin"], "source": value["source"]}


def _label(text: str) -> str:
    """Return text that stays inside a label: what a server or a sender wrote draws nothing of its own."""
    return "".join(sign if sign.isalnum() or sign in " .,:@/+-_=×" else f"#{ord(sign)};" for sign in str(text)[:80])
