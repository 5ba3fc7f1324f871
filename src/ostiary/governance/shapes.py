"""What a registered thing may look like when somebody writes it down: the fields of each noun, checked one by one."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from ipaddress import ip_network
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ostiary.core.errors import InvalidAction
from ostiary.core.ids import is_name
from ostiary.core.registry import A2a, Agent, Api, Group, Model, Profile, Server, Source, TrustedDirectory, User, Zone
from ostiary.governance.addresses import url_problem
from ostiary.governance.strict_yaml import Node, kind_of
from ostiary.identity.scopes import parse_scopes
from ostiary.settings import nearest

Read = Callable[[str, Node], Any]
T = TypeVar("T")

MAX_TEXT = 4096
MAX_LIST = 1000
MAX_VALUE = 256
MAX_PRICE = 1_000_000
RATE = re.compile(r"[1-9][0-9]{0,8}/[smhd]\Z")
WORD = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")
"""A role, label or attribute name."""
TOOL = re.compile(r"[A-Za-z0-9._@-]{1,128}/[\x21-\x7e]{1,128}\Z")
PATH = re.compile(r"\*#\Z|\?[^\W\d_]{1,32}\Z|(?:\*~|\*\.)?[A-Za-z0-9_$@*-][A-Za-z0-9_.$@\[\]*-]{0,255}\Z")
DIGEST = re.compile(r"[0-9a-f]{64}\Z")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PROVIDERS = frozenset({"openai", "anthropic"})
TRUST = frozenset({"trusted", "untrusted"})
EFFECTS = frozenset({"read", "reversible", "irreversible"})
ZONED = ("users", "agents", "servers", "models", "apis", "sources")
"""What can stand in a zone."""
_POINTER = "secret:"


class Fields:
    """The fields of one declared thing. Every method raises InvalidConfig that says where and what was expected."""

    def __init__(self, what: str, node: Node, known: str) -> None:
        self._what = what
        self._known = frozenset(known.split())
        self._found = node.only(what, self._known)
        self.node = node

    def at(self, name: str) -> Node:
        """Return the node of a field, or of the whole when it is missing."""
        return self._found.get(name, self.node)

    def has(self, name: str) -> bool:
        """Say whether a field was written."""
        return name in self._found and self._found[name].value is not None

    def text(self, name: str, default: str = "", *, is_required: bool = False) -> str:
        """Return a line of text."""
        if not self.has(name):
            if is_required:
                self.node.refuse(f"{self._what} needs `{name}`")
            return default
        return text_of(self._found[name], f"`{name}` of {self._what}")

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean."""
        if not self.has(name):
            return default
        value = self._found[name].value
        if not isinstance(value, bool):
            self.at(name).refuse(f"`{name}` of {self._what} must be true or false, got {kind_of(value)}")
        return value

    def choice(self, name: str, options: frozenset[str], default: str = "") -> str:
        """Return one of a few words; required when there is no default."""
        value = self.text(name, default, is_required=not default)
        if value not in options:
            self.at(name).refuse(f"`{name}` of {self._what} must be one of {', '.join(sorted(options))}, got `{value[:64]}`")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts, in order."""
        if not self.has(name):
            return ()
        items = self._found[name].sequence(f"`{name}` of {self._what}")
        if len(items) > MAX_LIST:
            self.at(name).refuse(f"`{name}` of {self._what} has {len(items)} items, at most {MAX_LIST}")
        return tuple(text_of(item, f"an item of `{name}` of {self._what}") for item in items)

    def words(self, name: str, pattern: re.Pattern[str] = WORD) -> frozenset[str]:
        """Return a set of short words: roles, labels."""
        for word in (found := self.texts(name)):
            if pattern.match(word) is None:
                self.at(name).refuse(f"`{word[:64]}` in `{name}` of {self._what} is not well formed")
        return frozenset(found)

    def names(self, name: str) -> tuple[str, ...]:
        """Return a list of registry names."""
        for word in (found := self.texts(name)):
            if not is_name(word):
                self.at(name).refuse(f"`{word[:64]}` in `{name}` of {self._what} cannot be a name")
        return found

    def pairs(self, name: str) -> dict[str, str]:
        """Return a mapping of texts."""
        if not self.has(name):
            return {}
        found = self._found[name].mapping(f"`{name}` of {self._what}")
        return {key: text_of(node, f"`{key}` in `{name}` of {self._what}") for key, node in found.items()}

    def rate(self, name: str = "rate") -> str:
        """Return a rate such as `10/s`."""
        value = self.text(name)
        if value and RATE.match(value) is None:
            self.at(name).refuse(f"`{name}` of {self._what} must look like `10/s`, `100/m`, `1000/h` or `5/d`, got `{value[:64]}`")
        return value

    def prices(self, name: str = "price") -> tuple[int, int]:
        """Return `{input, output}` in currency for a million tokens, as micro-units for a million tokens."""
        if not self.has(name):
            return 0, 0
        found = self._found[name].only(f"`{name}` of {self._what}", frozenset({"input", "output"}))
        asked, answered = (self._price(found.get(key)) for key in ("input", "output"))
        return asked, answered

    def _price(self, node: Node | None) -> int:
        if node is None:
            return 0
        value = node.value
        try:
            price = Decimal(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else Decimal(-1)
        except InvalidOperation:
            price = Decimal(-1)
        if not 0 <= price <= MAX_PRICE:
            node.refuse(f"a price of {self._what} must be 0 to {MAX_PRICE} for a million tokens, got `{str(value)[:32]}`")
        return int(price * 1_000_000)

    def secret(self, name: str) -> str:
        """Return the name of the secret that `secret:NAME` points to."""
        value = self.text(name)
        if not value:
            return ""
        if not value.startswith(_POINTER) or not is_name(value.removeprefix(_POINTER)):
            # The value is not shown: somebody may have written the credential itself.
            self.at(name).refuse(
                f"`{name}` of {self._what} must be `secret:NAME`", remedy="seal the value with ostiary secret set NAME, then name it here"
            )
        return value.removeprefix(_POINTER)

    def url(self, name: str = "url", *, is_required: bool = True, unsafe_plaintext: bool = False) -> str:
        """Return an http(s) address without a password in it; plain text only on loopback, or when said to be unsafe."""
        value = self.text(name, is_required=is_required)
        if not value:
            return ""
        problem = url_problem(value, unsafe_plaintext)
        if problem:
            self.at(name).refuse(f"`{name}` of {self._what} {problem}")
        return value


def text_of(node: Node, what: str) -> str:
    """Return a scalar as text: numbers are taken as written words, nothing else is. Raises InvalidConfig."""
    value = node.value
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        node.refuse(f"{what} must be text, got {kind_of(value)}")
    if len(value) > MAX_TEXT:
        node.refuse(f"{what} is over {MAX_TEXT} characters")
    if any(map(_is_hidden, value)):
        node.refuse(f"{what} has control characters")
    return value


def _is_hidden(character: str) -> bool:
    return (character < " " and character not in "\n\t") or "\x7f" <= character <= "\x9f" or "\ud800" <= character <= "\udfff"


def user(name: str, node: Node) -> User:
    """Return the declared user."""
    fields = Fields(f"user `{name}`", node, "email roles groups attributes")
    email = fields.text("email")
    if email and (email.count("@") != 1 or any(character.isspace() for character in email)):
        fields.at("email").refuse(f"`email` of user `{name}` must be an address, got `{email[:120]}`")
    return User(name, email, fields.words("roles"), frozenset(fields.names("groups")), fields.pairs("attributes"))


def group(name: str, node: Node) -> Group:
    """Return the declared group."""
    return Group(name, Fields(f"group `{name}`", node, "tools").words("tools", TOOL))


def agent(name: str, node: Node) -> Agent:
    """Return the declared agent, its manifest's prompt still to be read."""
    fields = Fields(f"agent `{name}`", node, "owner purpose roles groups attributes model servers scopes autonomous manifest a2a")
    if fields.has("manifest"):
        fields.at("manifest").only(f"`manifest` of agent `{name}`", frozenset({"prompt"}))
    purpose = fields.text("purpose", is_required=True).strip()
    if not purpose:
        fields.at("purpose").refuse(f"`purpose` of agent `{name}` is empty")
    return Agent(
        name,
        owner=fields.text("owner", is_required=True),
        purpose=purpose,
        roles=fields.words("roles"),
        groups=frozenset(fields.names("groups")),
        attributes=fields.pairs("attributes"),
        model=fields.text("model"),
        servers=fields.names("servers"),
        scopes=_scopes(fields),
        autonomous=fields.flag("autonomous"),
        a2a=_a2a(name, fields.at("a2a")) if fields.has("a2a") else None,
    )


def _a2a(name: str, node: Node) -> A2a:
    """Return where an agent answers others over A2A."""
    what = f"`a2a` of agent `{name}`"
    fields = Fields(what, node, "url credential trust labels keys push unsafe_plaintext")
    is_unsafe = fields.flag("unsafe_plaintext")
    push = fields.texts("push")
    for place in push:
        problem = url_problem(place, is_unsafe) or ("must not have a query" if "?" in place else "")
        if problem:
            fields.at("push").refuse(f"`push` of {what} {problem}")
    return A2a(
        url=fields.url(unsafe_plaintext=is_unsafe).rstrip("/"),
        credential=fields.secret("credential"),
        trust=fields.choice("trust", TRUST, "untrusted"),
        labels=fields.words("labels"),
        keys=fields.url("keys", is_required=False, unsafe_plaintext=is_unsafe),
        push=push,
        unsafe_plaintext=is_unsafe,
    )


def prompt_path(node: Node) -> Node | None:
    """Return where an agent's manifest says its prompt is."""
    manifest = node.mapping("an agent").get("manifest")
    return manifest.mapping("`manifest`").get("prompt") if manifest is not None else None


def _scopes(fields: Fields) -> tuple[str, ...]:
    try:
        return parse_scopes(fields.texts("scopes"))
    except InvalidAction as error:
        fields.at("scopes").refuse(error.detail, remedy=error.remedy)


def model(name: str, node: Node) -> Model:
    """Return the declared model."""
    fields = Fields(
        f"model `{name}`", node, "provider url upstream_name credential accepts trust labels region rate price unsafe_plaintext"
    )
    is_unsafe = fields.flag("unsafe_plaintext")
    asked, answered = fields.prices()
    return Model(
        name,
        provider=fields.choice("provider", PROVIDERS),
        url=fields.url(unsafe_plaintext=is_unsafe),
        upstream_name=fields.text("upstream_name"),
        credential=fields.secret("credential"),
        accepts=fields.words("accepts"),
        trust=fields.choice("trust", TRUST, "untrusted"),
        labels=fields.words("labels"),
        region=fields.text("region"),
        rate=fields.rate(),
        input_price=asked,
        output_price=answered,
        unsafe_plaintext=is_unsafe,
    )


def server(name: str, node: Node) -> Server:
    """Return the declared MCP server: reached at `url`, or started as `command`."""
    fields = Fields(
        f"server `{name}`", node, "url command environment trust labels credential rate unsafe_plaintext follow_certificate tools"
    )
    is_unsafe = fields.flag("unsafe_plaintext")
    url, command = fields.url(is_required=False, unsafe_plaintext=is_unsafe), fields.texts("command")
    if bool(url) == bool(command) or (command and not command[0].strip()):
        fields.node.refuse(f"server `{name}` needs either `url` or `command`")
    environment = fields.pairs("environment")
    if environment and not command:
        fields.at("environment").refuse(f"`environment` of server `{name}` is for servers started as a `command`")
    if any(value.startswith(_POINTER) for value in environment.values()):
        fields.at("environment").refuse(
            f"`environment` of server `{name}` cannot hold a secret",
            remedy="declare `credential: secret:NAME`; the program gets it by itself",
        )
    tools = fields.at("tools").mapping(f"`tools` of server `{name}`") if fields.has("tools") else {}
    return Server(
        name,
        url=url,
        command=command,
        environment=environment,
        trust=fields.choice("trust", TRUST, "untrusted"),
        labels=fields.words("labels"),
        credential=fields.secret("credential"),
        rate=fields.rate(),
        unsafe_plaintext=is_unsafe,
        follow_certificate=fields.flag("follow_certificate"),
        profiles={tool: profile(f"tool `{name}/{tool}`", each) for tool, each in tools.items()},
    )


def profile(what: str, node: Node) -> Profile:
    """Return the declared, and so confirmed, profile of a tool."""
    fields = Fields(what, node, "digest effect external control payload attested directory labels")
    pinned = fields.text("digest")
    if pinned and DIGEST.match(pinned) is None:
        fields.at("digest").refuse(f"`digest` of {what} must be 64 hex digits", remedy="ostiary server profile SERVER --template")
    return Profile(
        effect=fields.choice("effect", EFFECTS, "irreversible"),
        external=fields.flag("external", default=True),
        control=fields.words("control", PATH),
        payload=fields.words("payload", PATH),
        attested=fields.words("attested", PATH),
        directory=fields.words("directory", PATH),
        labels=fields.words("labels"),
        confirmed=True,
        pinned=pinned,
    )


def api(name: str, node: Node) -> Api:
    """Return the declared external API."""
    fields = Fields(f"api `{name}`", node, "url methods credential rate unsafe_plaintext")
    is_unsafe = fields.flag("unsafe_plaintext")
    methods = frozenset(fields.texts("methods")) or frozenset({"GET"})
    for method in sorted(methods - METHODS):
        fields.at("methods").refuse(f"unknown method `{method[:32]}` of api `{name}`{nearest(method.upper(), METHODS)}")
    return Api(
        name,
        url=fields.url(unsafe_plaintext=is_unsafe),
        methods=methods,
        credential=_api_credential(name, fields),
        rate=fields.rate(),
        unsafe_plaintext=is_unsafe,
    )


def _api_credential(name: str, fields: Fields) -> Mapping[str, str]:
    if not fields.has("credential"):
        return {}
    node = fields.at("credential")
    if isinstance(node.value, str):
        return {"secret": fields.secret("credential"), "as": "bearer"}
    inner = Fields(f"`credential` of api `{name}`", node, "secret as header")
    secret = inner.text("secret", is_required=True).removeprefix(_POINTER)
    if not is_name(secret):
        inner.at("secret").refuse(f"`secret` of api `{name}` must be the name of a secret", remedy="ostiary secret set NAME")
    kind = inner.choice("as", frozenset({"bearer", "basic", "header"}), "bearer")
    if (kind == "header") != inner.has("header"):
        inner.node.refuse(f"`credential` of api `{name}` needs `header` exactly when `as` is `header`")
    return {"secret": secret, "as": kind} | ({"header": inner.text("header")} if kind == "header" else {})


def source(name: str, node: Node) -> Source:
    """Return the declared data source, kept as written."""
    fields = Fields(f"source `{name}`", node, "kind url credential tables collections labels trust rate unsafe_plaintext")
    fields.text("kind", is_required=True)
    fields.secret("credential")
    url = fields.text("url")
    try:
        has_password = bool(url) and urlsplit(url).password is not None
    except ValueError:
        fields.at("url").refuse(f"`url` of source `{name}` is not an address")
    if has_password:
        fields.at("url").refuse(f"`url` of source `{name}` holds a password", remedy="seal it: credential: secret:NAME")
    return Source(name, node.plain())


def zone(name: str, node: Node) -> Zone:
    """Return the declared zone: who and what stands in it."""
    fields = Fields(f"zone `{name}`", node, " ".join((*ZONED, "networks")))
    for network in (networks := fields.texts("networks")):
        try:
            ip_network(network)
        except ValueError:
            fields.at("networks").refuse(f"`{network[:64]}` in `networks` of zone `{name}` is no network", remedy="write it as 10.1.0.0/16")
    return Zone(name, **{noun: frozenset(fields.names(noun)) for noun in ZONED}, networks=frozenset(networks))


def directory(name: str, node: Node) -> TrustedDirectory:
    """Return the declared trusted directory: values listed, or the field of a tool's answers they are read from."""
    fields = Fields(f"directory `{name}`", node, "kind values from")
    if fields.has("values") == fields.has("from"):
        node.refuse(f"directory `{name}` needs either `values` or `from`")
    tool = field = ""
    if fields.has("from"):
        inner = Fields(f"`from` of directory `{name}`", fields.at("from"), "tool field")
        tool, field = inner.text("tool", is_required=True), inner.text("field", is_required=True)
        if TOOL.match(tool) is None or PATH.match(field) is None:
            fields.at("from").refuse(f"`from` of directory `{name}` must be a `tool` as `server/tool` and a `field` as a dotted path")
    values = tuple(value.strip() for value in fields.texts("values"))
    for value in values:
        if not value or len(value) > MAX_VALUE or not value.isprintable():
            fields.at("values").refuse(f"a value of directory `{name}` must have 1 to {MAX_VALUE} printable characters")
    kind = fields.text("kind", is_required=True)
    if WORD.match(kind) is None:
        fields.at("kind").refuse(f"`kind` of directory `{name}` must be one lower-case word, as `payees`")
    return TrustedDirectory(name, kind, values, tool, field)


SHAPES: dict[str, Read] = {
    "users": user,
    "groups": group,
    "agents": agent,
    "models": model,
    "servers": server,
    "apis": api,
    "sources": source,
    "zones": zone,
    "directories": directory,
}
"""How each noun of the registry is read."""
