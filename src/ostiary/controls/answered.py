"""What counts for a cap on a model's answer: the text it wrote, the same whether it arrives whole or as a stream."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

_WIRE: Final = frozenset({"role", "type", "id", "name", "finish_reason", "signature", "index"})
"""Fields of the wire around the text; in a stream they pass beside the content controls."""


def texts(content: Any) -> list[str]:
    """Return what a model wrote, of an OpenAI or an Anthropic answer."""
    return list(_written([content.get("choices"), content.get("content")])) if isinstance(content, Mapping) else []


def _written(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _written(item)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if name == "input" and isinstance(item, Mapping):
                yield json.dumps(item, ensure_ascii=False, separators=(",", ":"))
            elif name not in _WIRE:
                yield from _written(item)
