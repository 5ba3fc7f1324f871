"""Agent cards: read what an agent shows, check its signature, and make the card this gateway shows in its place (section 8)."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from ostiary.core.canonical import canonical
from ostiary.core.errors import InvalidAction, UpstreamUnavailable
from ostiary.core.registry import A2a, Agent, Card
from ostiary.core.strict_json import parse_object
from ostiary.protocols.a2a.request import VERSION
from ostiary.protocols.a2a.shapes import CARD

WELL_KNOWN: Final = ".well-known/agent-card.json"
MAX_CARD: Final = 256 * 1024
MAX_KEYS: Final = 64 * 1024
MAX_SIGNATURES: Final = 8
MAX_SKILLS: Final = 256
ALGORITHMS: Final = ("ES256", "ES384", "ES512", "RS256", "PS256", "EdDSA", "Ed25519")
BINDINGS: Final = ("JSONRPC", "HTTP+JSON")
"""The bindings spoken here, the preferred first."""
SCHEME: Final = "ostiary"

Sign = Callable[[bytes, str], Mapping[str, str]]
"""Signs a payload, detached: returns `protected` and `signature`; the second argument is the address of our key set."""


@dataclass(frozen=True, slots=True)
class Interface:
    """Where an agent is spoken to, and how."""

    url: str
    binding: str
    tenant: str = ""


def read_card(body: bytes) -> dict[str, Any]:
    """Return a card in one spelling. Raises UpstreamUnavailable for what is none."""
    try:
        card: dict[str, Any] = CARD(parse_object(body, max_bytes=MAX_CARD), "")
    except InvalidAction as error:
        raise UpstreamUnavailable(f"the agent's card is not one: {error.detail}"[:500]) from None
    if len(card["skills"]) > MAX_SKILLS:
        raise UpstreamUnavailable(f"the agent's card has {len(card['skills'])} skills, at most {MAX_SKILLS} are taken")
    return card


def payload(card: Mapping[str, Any]) -> bytes:
    """Return what a signature of a card covers (section 8.4.1): it was read with defaults left out, so only signatures go."""
    return canonical({name: value for name, value in card.items() if name != "signatures"})


def _emptied(value: Any) -> Any:
    """Return a value without anything empty in it, as the Python SDK signs cards."""
    if isinstance(value, Mapping):
        kept = {key: item for key, item in ((key, _emptied(item)) for key, item in value.items()) if item is not None}
        return kept or None
    if isinstance(value, list):
        return [item for item in map(_emptied, value) if item is not None] or None
    return None if value == "" else value


def signature_headers(card: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the protected headers of a card's signatures. Raises UpstreamUnavailable for one that cannot be read."""
    signatures = card.get("signatures", [])
    if len(signatures) > MAX_SIGNATURES:
        raise UpstreamUnavailable(f"the agent's card has {len(signatures)} signatures, at most {MAX_SIGNATURES} are looked at")
    try:
        return [parse_object(_unb64(each["protected"]), max_bytes=4096) for each in signatures]
    except InvalidAction:
        raise UpstreamUnavailable("a signature of the agent's card has no header that can be read") from None


def signed_by(card: Mapping[str, Any], keys: KeySet) -> str:
    """Return the id of the key whose signature over the card holds; empty when none does. Never trusts a header's own key."""
    content = {name: value for name, value in card.items() if name != "signatures"}
    forms = {payload(card), canonical(_emptied(content) or {})}
    for each, header in zip(card.get("signatures", []), signature_headers(card), strict=True):
        kid = header.get("kid")
        known = [key for key in keys.keys if isinstance(kid, str) and key.kid == kid]
        if header.get("alg") not in ALGORITHMS or len(known) != 1 or "crit" in header:
            continue
        for form in forms:
            token = f"{each['protected']}.{base64.urlsafe_b64encode(form).rstrip(b'=').decode()}.{each['signature']}"
            try:
                jws.deserialize_compact(token, known[0], algorithms=list(ALGORITHMS))
            except (JoseError, ValueError, TypeError):
                continue
            return str(kid)
    return ""


def key_address(card: Mapping[str, Any], agent: A2a) -> str:
    """Return where the keys of a signed card are: declared, or named by it on the agent's own host; empty when nowhere."""
    if agent.keys or not card.get("signatures"):
        return agent.keys
    named = [header.get("jku") for header in signature_headers(card)]
    return next((url for url in named if isinstance(url, str) and same_origin(url, agent.url)), "")


def read_keys(body: bytes) -> KeySet:
    """Return a key set, its secret keys refused. Raises UpstreamUnavailable."""
    try:
        found = parse_object(body, max_bytes=MAX_KEYS)
        keys = found.get("keys")
        if (
            not isinstance(keys, list)
            or not 0 < len(keys) <= 64
            or any(not isinstance(key, dict) or key.get("kty") == "oct" for key in keys)
        ):
            raise ValueError
        return KeySet.import_key_set({"keys": keys})
    except (InvalidAction, JoseError, ValueError, TypeError, KeyError):
        raise UpstreamUnavailable("the key set that signs the agent's card cannot be read") from None


def interface_of(card: Mapping[str, Any], agent: A2a) -> Interface | None:
    """Return how to speak to an agent: the first binding and version of ours on its own host."""
    for each in card["supportedInterfaces"]:
        version = ".".join(str(each["protocolVersion"]).split(".")[:2])
        if each["protocolBinding"] in BINDINGS and version == VERSION and same_origin(each["url"], agent.url):
            return Interface(each["url"], each["protocolBinding"], each.get("tenant", ""))
    return None


def wrong_with(card: Mapping[str, Any], agent: A2a) -> tuple[str, ...]:
    """Return what the wire itself finds suspicious in a card."""
    foreign = [
        each["url"]
        for each in card["supportedInterfaces"]
        if each["protocolBinding"] in BINDINGS and not same_origin(each["url"], agent.url)
    ]
    found = [f"it wants to be spoken to at `{url[:120]}`, which is not on its own host" for url in foreign[:4]]
    if interface_of(card, agent) is None:
        found.append(f"it offers no interface of {' or '.join(BINDINGS)} in version {VERSION} on its own host")
    return tuple(found)


def issued(agent: Agent, card: Card, base: str, sign: Sign) -> dict[str, Any]:
    """Return the card this gateway shows for an agent: what it can do, at our address, under our security, with our signature.

    Nothing in it is empty, because implementations disagree about whether what is empty is signed. Addresses the agent named
    (icon, documentation, provider) are left out: a client would follow them past this gateway.
    """
    theirs = card.definition
    url = f"{base}/a2a/{agent.name}"
    streams = theirs["capabilities"].get("streaming", False)
    pushes = bool(theirs["capabilities"].get("pushNotifications") and agent.a2a is not None and agent.a2a.push)
    extensions = theirs["capabilities"].get("extensions", [])
    capabilities = {"streaming": streams, "pushNotifications": pushes, "extendedAgentCard": False}
    shown = {
        "name": theirs["name"],
        "description": theirs["description"],
        "version": theirs["version"],
        "supportedInterfaces": [{"url": url, "protocolBinding": each, "protocolVersion": VERSION} for each in BINDINGS],
        "capabilities": capabilities | ({"extensions": extensions} if extensions else {}),
        "securitySchemes": {SCHEME: {"httpAuthSecurityScheme": {"scheme": "Bearer", "bearerFormat": "JWT", "description": _TOKEN}}},
        "securityRequirements": [{"schemes": {SCHEME: {"list": [f"agent:{agent.name}"]}}}],
        "defaultInputModes": theirs["defaultInputModes"],
        "defaultOutputModes": theirs["defaultOutputModes"],
        "skills": [{name: value for name, value in skill.items() if name != "securityRequirements"} for skill in theirs["skills"]],
    }
    whole: dict[str, Any] = _emptied(shown)
    return {**whole, "signatures": [dict(sign(payload(whole), f"{base}/.well-known/jwks.json"))]}


_TOKEN = "the session token of /oauth/token, lent the scope in the requirement"  # noqa: S105 - a description


def same_origin(url: str, other: str) -> bool:
    """Say whether two addresses are of one scheme, host and port, and hold no user, fragment or odd letters."""
    try:
        one, two = urlsplit(url), urlsplit(other)
        same = (one.scheme, one.hostname, _port(one)) == (two.scheme, two.hostname, _port(two))
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    return same and plain and one.username is None and one.password is None and not one.fragment and one.scheme in {"http", "https"}


def _port(parts: Any) -> int:
    return int(parts.port or (443 if parts.scheme == "https" else 80))


def _unb64(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidAction("not base64url") from None
