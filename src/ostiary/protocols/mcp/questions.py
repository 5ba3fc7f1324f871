"""Questions a server asks the client: what may be put to it, and how its reply goes back."""

import re
from collections.abc import Mapping
from typing import Any, Final

ASKABLE: Final[Mapping[str, str]] = {
    "sampling/createMessage": "sampling",
    "elicitation/create": "elicitation",
    "roots/list": "roots",
}
"""Method → the client capability it needs."""
RELAYED: Final[Mapping[str, tuple[str, ...]]] = {"sampling": ("context", "tools"), "elicitation": ("form", "url"), "roots": ()}
"""The client capabilities that are relayed, with what may be said of each (2025-11-25, schema, ClientCapabilities)."""

_SECRET = re.compile(
    r"pass\s?(?:word|phrase|code)|api\s?key|access\s?(?:key|token)|(?:auth|bearer|refresh|session|secret)\s?token|secret|credential"
    r"|private\s?key|seed\s?phrase|recovery\s?(?:code|phrase)|one\s?time\s?(?:code|password)|\botp\b|\bmfa\b|\bcvv\b|\bcvc\b"
    r"|card\s?number|security\s?code|\bpin\b|\bssn\b|social\s?security",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[_\-.\s]+|(?<=[a-z0-9])(?=[A-Z])")


def asks_for_secrets(method: str, params: Mapping[str, Any]) -> bool:
    """Say whether a form asks for a credential, which MCP forbids (elicitation, Security Considerations)."""
    if method != "elicitation/create" or params.get("mode", "form") == "url":
        return False
    schema = params.get("requestedSchema")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    texts = [params.get("message", "")]
    for name, field in (properties or {}).items() if isinstance(properties, dict) else ():
        texts.append(name)
        if isinstance(field, dict):
            texts += [field.get(key, "") for key in ("title", "description", "format")]
    return any(isinstance(text, str) and _SECRET.search(_WORDS.sub(" ", text)) for text in texts)


def relayed(capabilities: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a server is told that a client can do: known words only, since nobody decides about a handshake."""
    said: dict[str, Any] = {}
    for name, parts in RELAYED.items():
        given = capabilities.get(name)
        if isinstance(given, dict):
            said[name] = {part: {} for part in parts if isinstance(given.get(part), dict)}
            if name == "roots" and given.get("listChanged") is True:
                said[name]["listChanged"] = True
    return said


def is_offered(method: str, capabilities: Mapping[str, Any]) -> bool:
    """Say whether the client said that it answers such questions."""
    return method in ASKABLE and ASKABLE[method] in capabilities
