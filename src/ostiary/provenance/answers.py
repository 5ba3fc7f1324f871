"""What an answer holds: trees of values, and texts; read up to fixed limits, past which the session knows that it has forgotten something."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from ostiary.core import strict_json
from ostiary.core.errors import OstiaryError
from ostiary.provenance.fields import is_code
from ostiary.provenance.store import ValueIndex
from ostiary.provenance.tracing import MIN_TOKEN
from ostiary.provenance.words import STOP, loose_tokens

MAX_TEXT = 32_768
"""Characters of one answer that are looked at; beyond, the session knows that it has forgotten something."""
MAX_NODES = 2_000
"""Objects, lists and scalars of one answer that are looked at."""


def trees(content: Any) -> Iterator[tuple[Any, bool]]:
    """Iterate what an answer holds: each structured tree (True) and each text (False).

    Of an MCP result, structured content and text that is JSON are trees; text that merely repeats the structured content
    is left out; anything else is one tree.
    """
    if not (type(content) is dict or isinstance(content, Mapping)) or not ({"content", "contents", "structuredContent"} & set(content)):
        yield from _text_or_tree(content)
        return
    structured = content.get("structuredContent")
    if structured is not None:
        yield structured, True
    alike = (structured, structured.get("result")) if structured is not None and isinstance(structured, Mapping) else (structured,)
    for key, value in content.items():
        if key in {"content", "contents"} and isinstance(value, list):
            for block in value:
                for found, is_tree in _block(block):
                    if not (is_tree and structured is not None and found in alike):
                        yield found, is_tree and structured is None
        elif key not in {"structuredContent", "isError", "_meta", "resultType", "ttlMs"}:
            yield value, False


def _block(block: Any) -> Iterator[tuple[Any, bool]]:
    if not (type(block) is dict or isinstance(block, Mapping)):
        yield block, False
        return
    inner = block.get("resource")
    holder = inner if inner is not None and isinstance(inner, Mapping) else block
    text = holder.get("text")
    if isinstance(text, str):
        yield from _text_or_tree(text)
    for name in ("uri", "name", "title", "description"):
        if isinstance(holder.get(name), str):
            yield holder[name], False


def _text_or_tree(value: Any) -> Iterator[tuple[Any, bool]]:
    if not isinstance(value, str):
        yield value, True
        return
    head = value.lstrip()[:1]
    if head in {"{", "["} and len(value) <= MAX_TEXT:
        try:
            yield strict_json.parse(value.encode(), max_bytes=4 * MAX_TEXT), True
            return
        except (OstiaryError, UnicodeError):
            pass
    yield value, is_code(value)


def strings(value: Any, index: ValueIndex) -> list[str]:
    """Return every text in a value, keys too, up to the limits; past them the index notes that it has forgotten."""
    found: list[str] = []
    pending, nodes, size = [value], 0, 0
    while pending:
        node = pending.pop()
        nodes += 1
        if isinstance(node, str):
            found.append(node)
            size += len(node)
        elif isinstance(node, Mapping):
            found.extend(map(str, islice(node, MAX_NODES)))
            pending.extend(islice(node.values(), 2 * MAX_NODES))
        elif isinstance(node, list | tuple):
            pending.extend(islice(node, 2 * MAX_NODES))
        elif isinstance(node, int | float) and not isinstance(node, bool):
            found.append(str(node))
        if nodes > MAX_NODES or size > MAX_TEXT or len(pending) > MAX_NODES:
            index.forget_some()
            break
    return found


def note_text(index: ValueIndex, texts: list[str], source: int) -> None:
    """Remember the tokens of somebody's texts, up to the limit."""
    joined = "\n".join(texts)
    if len(joined) > MAX_TEXT:
        index.forget_some()
        joined = joined[:MAX_TEXT]
    index.saw([token for token in dict.fromkeys(loose_tokens(joined)) if len(token) >= MIN_TOKEN and token not in STOP], source)
