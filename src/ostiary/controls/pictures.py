"""Pictures that a viewer would fetch by itself: the classic way to carry data out, in the picture's address."""

import re
from collections.abc import Collection
from functools import cache
from urllib.parse import urlsplit

from ostiary.controls.pattern import Pattern

IMAGE = "remote_image"
LINK = "remote_link"
TARGETS = frozenset({"remote_image", "remote_reference"})
"""What is made inert in a model's text: image targets, and definitions that a picture may refer to."""

REACH = 2800
_DEPTH = 300
"""How far before an image's target its `![` is looked for; further away counts as an image."""
_TARGET = re.compile(r"\]\(\s{0,400}(?:<([^>\n\x1e]{0,2000})>?|([^\s)\x1e]{0,2000}))[^)\x1e]{0,300}\)?")
_DEFINITION = re.compile(r"\](:)\s{0,400}<?(?:[a-z][a-z0-9+.-]{1,20}:|[/\\]{2}|&)", re.IGNORECASE)
_DEFINED = re.compile(r":\s{0,400}[^\s]{0,40}")
_HTML = re.compile(
    r"<(?:img|image|iframe|video|audio|source|embed|object|link|script|svg)\b[^>\x1e]{0,400}?\b(?:src|srcset|href|data|poster)\s{0,8}=\s{0,8}[\"']?((?:https?:)?//[^\s\"'>\x1e]{1,2000})",
    re.IGNORECASE,
)
_LOCAL = re.compile(r"(?![/\\]{2})[\w./#?=%,~+-]*\Z", re.ASCII)
_HOST = re.compile(r"[a-z0-9._-]+\Z")


@cache
def patterns() -> tuple[Pattern, ...]:
    """Return the signs of remote pictures and links."""
    link = r"\]\(\s{0,400}<?((?:https?:)?[/\\]{2}[^\s)>\x1e]{1,2000})"
    html = r"<(?:img|image|iframe|video|audio|source|embed|object|link|script|svg)\b[^>\x1e]{0,400}\b(?:src|srcset|href|data|poster)\s{0,8}=\s{0,8}[\"']?(?:https?:)?//"
    return (
        Pattern("markdown-image", IMAGE, [r"\]\("], _TARGET, _is_image, 2, REACH, 0),
        Pattern("markdown-definition", "remote_reference", [r"\]:\s{0,400}[^\s]"], _DEFINITION, None, 404, 32, 1),
        Pattern("html-image", IMAGE + ".html", [html], _HTML, None, 460, 2100, 1),
        Pattern("markdown-link", LINK, [r"\]\("], re.compile(link, re.IGNORECASE), _is_link, 2, 2500, 1),
    )


def _is_image(match: re.Match[str], _group: int) -> bool:
    """Say whether a target belongs to an image and leads away; brackets may nest, so they are counted."""
    return _opens_image(match.string, match.start()) and not _LOCAL.match(match[1] or match[2] or "")


def _is_link(match: re.Match[str], _group: int) -> bool:
    return not _opens_image(match.string, match.start())


def _opens_image(text: str, closing: int) -> bool:
    depth, low = 0, max(0, closing - _DEPTH)
    for at in range(closing - 1, low - 1, -1):
        char = text[at]
        if char == "]":
            depth += 1
        elif char == "[":
            if depth == 0:
                return text[at - 1 : at] == "!" and text[at - 2 : at - 1] != "\\" if at else False
            depth -= 1
        elif char == "\x1e":
            return False
    return closing > _DEPTH or "![" in text[low:closing]


def open_target(held: str) -> int:
    """Return where a target begins that the next piece of a stream may go on; the length when there is none."""
    at = held.find("]")
    while at >= 0:
        follows = held[at + 1 : at + 2]
        if not follows:
            return at
        if follows == "(":
            match = _TARGET.match(held, at)
            if match is None or (match.end() == len(held) and held[-1] != ")"):
                return at
            at = match.end() - 1
        elif follows == ":" and (defined := _DEFINED.match(held, at + 1)) and defined.end() == len(held):
            return at
        at = held.find("]", at + 1)
    return len(held)


def inert(found: str, kind: str, hosts: Collection[str]) -> str:
    """Return a target as text that nothing fetches, unless its host is listed."""
    if kind != IMAGE:
        return " :"
    match = _TARGET.match(found)
    url = (match[1] or match[2] or "") if match else ""
    if is_listed(url, hosts):
        return found
    return f"] (picture from {host(url) or 'another place'} not shown)"


def host(url: str) -> str:
    """Return the host a viewer would ask, lower case; empty for what has none or does not parse."""
    try:
        name = (urlsplit(url.replace("\\", "/")).hostname or "").rstrip(".")
    except ValueError:
        return ""
    return name if _HOST.match(name) else ""


def is_listed(url: str, hosts: Collection[str]) -> bool:
    """Say whether an address is on a listed host or below one given as `.example.com`."""
    name = host(url)
    return bool(name) and (name in hosts or any(entry.startswith(".") and name.endswith(entry) for entry in hosts))
