"""Every setting, its default, its meaning.

Read from, the later winning: the defaults here, `ostiary.toml`, the secrets directory (`$OSTIARY_SECRETS_DIR`, files named
`section__key`), the environment (`OSTIARY_SECTION__KEY`), the command line. An unknown key is an error that names the nearest one.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ostiary.core.errors import InvalidConfig

PREFIX = "OSTIARY_"
SECRETS_DIR = "OSTIARY_SECRETS_DIR"
MAX_FILE = 256 * 1024
"""Bytes of a settings file or a secret file."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ServerSettings(_Section):
    """The listener."""

    host: str = "127.0.0.1"
    """Address to listen on; beyond loopback needs TLS."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8470
    """TCP port; 0 takes a free one."""
    tls_cert: str = ""
    """PEM file with the certificate chain."""
    tls_key: str = ""
    """PEM file with the certificate's private key."""
    public_url: str = ""
    """The address agents and approvers use, when it is not the one listened on (behind a proxy)."""
    allowed_hosts: list[str] = []
    """Host names accepted in the Host header, beside those listened on and of the public address, and loopback names."""
    allowed_origins: list[str] = []
    """Web origins whose pages may call the gateway; none by default."""
    trusted_proxies: list[str] = []
    """Addresses or networks of proxies in front, whose `X-Forwarded-For` says who the client is; nobody else's is read."""
    max_control_body_bytes: Annotated[int, Field(gt=0)] = 8 * 1024 * 1024
    """Largest request body on the control API (a declaration with its policies)."""
    max_header_bytes: Annotated[int, Field(gt=0)] = 32 * 1024
    """Largest request head."""
    head_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """Longest time a client may take to send a request head."""
    keep_alive_s: Annotated[float, Field(gt=0)] = 75.0
    """How long an idle connection is kept."""
    max_connections: Annotated[int, Field(gt=0)] = 4096
    """Open client connections; more are turned away."""
    drain_s: Annotated[float, Field(ge=0)] = 10.0
    """How long SIGTERM waits for open requests before it closes them."""


class IdentitySettings(_Section):
    """Principals, sessions and tokens."""

    trust_domain: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,253}[a-z0-9])?$")] = "ostiary.local"
    """The SPIFFE trust domain of every identity; fixed once agents are registered."""
    issuer: str = ""
    """The `iss` of our tokens; the public address when empty."""
    session_ttl_s: Annotated[int, Field(gt=0, le=3600)] = 3600
    """How long a session lasts when nothing shorter is asked; never more than an hour."""
    delegation_depth: Annotated[int, Field(ge=0, le=8)] = 4
    """How often a session may be lent on, from agent to agent; 0 is never."""
    key_overlap_s: Annotated[int, Field(ge=0, le=2_592_000)] = 86_400
    """How long an agent's old key still works after it is rotated."""
    link_ttl_s: Annotated[int, Field(gt=0, le=604_800)] = 900
    """How long a one-time sign-in link works."""
    dev_sign_in: bool = False
    """Sign users in without a password. For development on loopback only."""


class LedgerSettings(_Section):
    """The record."""

    origin: str = ""
    """The ledger's name in its checkpoints; made from the host name on first run when empty."""
    checkpoint_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    """Longest time between a durable entry and a signed checkpoint that covers it."""
    heartbeat_s: Annotated[float, Field(gt=0)] = 60.0
    """How often an idle ledger signs a checkpoint."""
    min_free_bytes: Annotated[int, Field(ge=0)] = 64 * 1024 * 1024
    """Free disk space below which actions are refused while the ledger can still say so."""


class LimitSettings(_Section):
    """What one principal, session or upstream may use up."""

    principal_rate: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}/[smhd]$")] = "5000/s"
    """Actions of one agent: the brake on a runaway; limits that mean something are declared on models and servers."""
    session_rate: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}/[smhd]$")] = "5000/s"
    """Actions of one session."""
    session_actions: Annotated[int, Field(ge=0)] = 0
    """Actions a session may take in all when it is lent no number; 0 is no limit."""
    session_spend: Annotated[float, Field(ge=0)] = 0.0
    """What a session may spend on models when it is lent no budget, in the deployment's currency; 0 is no limit."""


class ContentSettings(_Section):
    """What the content controls look for beside what they always do."""

    picture_hosts: list[str] = []
    """Hosts whose pictures a model's answer may show; `.example.com` stands for all below it."""
    canaries: list[str] = []
    """Planted values that must never leave in a tool's arguments, plain or encoded."""
    secret_rules: str = ""
    """A `gitleaks.toml` whose rules run beside ours."""


class UpstreamSettings(_Section):
    """Connections to models, servers and APIs."""

    connect_timeout_s: Annotated[float, Field(gt=0)] = 5.0
    """Longest time to connect."""
    max_connections: Annotated[int, Field(gt=0)] = 640
    """Connections to one upstream at once; an open stream holds one."""
    max_answer_bytes: Annotated[int, Field(gt=0)] = 16 * 1024 * 1024
    """Largest answer read whole."""
    ca_file: str = ""
    """PEM file with the certificate authorities trusted beside the system's."""


class PolicySettings(_Section):
    """Decisions."""

    operator_approves: bool = True
    """The first operator counts as a member of every approval group; turn it off once approvers have keys of their own."""
    approval_url: str = ""
    """Address shown to approvers; `{id}` stands for the approval. Ours when empty."""


class LogSettings(_Section):
    """The log of the program itself. The ledger is not the log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is logged."""
    format: Literal["auto", "json", "text"] = "auto"
    """`json` one object a line, `text` for people, `auto` by whether standard error is a terminal."""


class Settings(BaseSettings):
    """The settings of one gateway. Make one with `load`."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    server: ServerSettings = ServerSettings()
    identity: IdentitySettings = IdentitySettings()
    ledger: LedgerSettings = LedgerSettings()
    limits: LimitSettings = LimitSettings()
    content: ContentSettings = ContentSettings()
    upstream: UpstreamSettings = UpstreamSettings()
    policy: PolicySettings = PolicySettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values only from what `load` merged, so that each one's source is known."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @classmethod
    def load(
        cls,
        config: Path | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        overrides: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return the settings from everywhere. Raises InvalidConfig.

        `config` must exist when given; `overrides` (`{"server.port": 1}`) are the command line's, None left out.
        """
        return cls.from_found(_gather(config, environ, overrides))

    @classmethod
    def from_found(cls, found: Mapping[str, "_Found"]) -> Self:
        """Return the settings made of what was found. Raises InvalidConfig."""
        values: dict[str, Any] = {}
        for key, item in found.items():
            section, name = key.split(".", 1)
            values.setdefault(section, {})[name] = item.value
        try:
            settings = cls(**values)
        except ValidationError as error:
            raise _invalid(error, found) from None
        settings._check()
        return settings

    def _check(self) -> None:
        """Refuse combinations that cannot work or are not safe."""
        server = self.server
        if bool(server.tls_cert) != bool(server.tls_key):
            given, missing = ("tls_cert", "tls_key") if server.tls_cert else ("tls_key", "tls_cert")
            raise InvalidConfig(f"setting `server.{given}` is set but `server.{missing}` is not", remedy="give both or neither")
        if self.identity.dev_sign_in and not is_loopback(server.host):
            raise InvalidConfig(
                f"`identity.dev_sign_in` is for loopback only, but `server.host` is `{server.host}`", remedy="turn one of them off"
            )


@dataclass(frozen=True, slots=True)
class Described:
    """One setting as `ostiary doctor --settings` prints it."""

    name: str
    value: Any
    default: Any
    source: str
    """`default`, `file`, `secrets`, `environment` or `command line`."""
    meaning: str


@dataclass(frozen=True, slots=True)
class _Found:
    value: Any
    source: str
    place: str


def describe(
    config: Path | None = None, *, environ: Mapping[str, str] | None = None, overrides: Mapping[str, Any] | None = None
) -> list[Described]:
    """Return every setting with its value, source and meaning. Raises InvalidConfig."""
    found = _gather(config, environ, overrides)
    settings = Settings.from_found(found)
    return [
        Described(
            name,
            getattr(getattr(settings, name.split(".")[0]), name.split(".")[1]),
            default,
            found[name].source if name in found else "default",
            meaning,
        )
        for name, default, meaning in _known()
    ]


def is_loopback(host: str) -> bool:
    """Say whether `host` can only be reached from this machine."""
    import ipaddress

    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def nearest(word: str, known: "list[str] | frozenset[str] | set[str]") -> str:
    """Return ` (did you mean …?)` for the known word most like this one, or nothing."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""


def _known() -> list[tuple[str, Any, str]]:
    rows = []
    for section, field in Settings.model_fields.items():
        model = field.annotation
        assert isinstance(model, type)
        assert issubclass(model, BaseModel)
        for name, setting in model.model_fields.items():
            rows.append((f"{section}.{name}", setting.get_default(call_default_factory=True), setting.description or ""))
    return rows


@cache
def _lists() -> frozenset[str]:
    return frozenset(name for name, default, _ in _known() if isinstance(default, list))


def _gather(config: Path | None, environ: Mapping[str, str] | None, overrides: Mapping[str, Any] | None) -> dict[str, _Found]:
    environ = os.environ if environ is None else environ
    known = {name for name, _, _ in _known()}
    found: dict[str, _Found] = {}
    if config is not None:
        found |= _from_file(config)
    if directory := environ.get(SECRETS_DIR):
        found |= _from_secrets(Path(directory))
    found |= _from_environment(environ)
    for key, value in (overrides or {}).items():
        if value is not None:
            found[key] = _Found(value, "command line", "the command line")
    for key, item in found.items():
        if key not in known:
            raise InvalidConfig(
                f"unknown setting `{key}` in {item.place}{_nearest_setting(key, known)}", remedy="ostiary doctor --settings"
            )
    return found


def _nearest_setting(key: str, known: set[str]) -> str:
    section, _, name = key.partition(".")
    siblings = {other.partition(".")[2]: other for other in known if other.startswith(f"{section}.")}
    if siblings and (close := difflib.get_close_matches(name, siblings, n=1, cutoff=0.6)):
        return f"; did you mean `{siblings[close[0]]}`?"
    return nearest(key, known)


def _from_file(config: Path) -> dict[str, _Found]:
    try:
        if config.stat().st_size > MAX_FILE:
            raise InvalidConfig(f"`{config}` is over {MAX_FILE} bytes")
        text = config.read_text("utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise InvalidConfig(
            f"settings file `{config}` cannot be read: {error.strerror}", remedy="name one with --config, or leave it out"
        ) from None
    except UnicodeDecodeError:
        raise InvalidConfig(f"settings file `{config}` is not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidConfig(f"settings file `{config}` is not TOML: {str(error).lower() or 'nested too deep'}") from None
    found = {}
    sections = set(Settings.model_fields)
    for section, values in document.items():
        place = f"`{config}` line {_line(text, section)}"
        if section not in sections or not isinstance(values, dict):
            raise InvalidConfig(f"unknown section `{section}` in {place}{nearest(section, sections)}", remedy="ostiary doctor --settings")
        for name, value in values.items():
            found[f"{section}.{name}"] = _Found(value, "file", f"`{config}` line {_line(text, name, section)}")
    return found


def _line(text: str, word: str, section: str = "") -> int:
    """Return the line a TOML key stands on; the parser does not say."""
    is_inside = not section
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip().replace('"', "").replace("'", "")
        if bare.startswith("[") and section:
            is_inside = bare.strip("[] ") == section
        if is_inside and (bare.partition("=")[0].strip() == word or bare.strip("[] ") == word):
            return number
    return 1


def _from_secrets(directory: Path) -> dict[str, _Found]:
    found = {}
    try:
        for path in sorted(directory.iterdir()):
            if not path.name.startswith(".") and path.is_file() and "__" in path.name:
                if path.stat().st_size > MAX_FILE:
                    raise InvalidConfig(f"secret file `{path}` is over {MAX_FILE} bytes")
                found[_key(path.name)] = _Found(_decode(_key(path.name), path.read_text("utf-8").strip()), "secrets", f"`{path}`")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"secrets directory `{directory}` cannot be read: {error}") from None
    return found


def _from_environment(environ: Mapping[str, str]) -> dict[str, _Found]:
    found = {}
    for variable, value in environ.items():
        if variable.startswith(PREFIX) and "__" in variable:
            key = _key(variable.removeprefix(PREFIX))
            found[key] = _Found(_decode(key, value), "environment", f"the environment (`{variable}`)")
    return found


def _key(name: str) -> str:
    return name.lower().replace("__", ".", 1)


def _decode(key: str, text: str) -> Any:
    """Lists are written with commas where a value is only text."""
    return [word.strip() for word in text.split(",") if word.strip()] if key in _lists() else text


def _invalid(error: ValidationError, found: Mapping[str, _Found]) -> InvalidConfig:
    first = error.errors(include_url=False, include_context=False)[0]
    key = ".".join(str(part) for part in first["loc"][:2])
    place = f" in {found[key].place}" if key in found else ""
    message = first["msg"][:1].lower() + first["msg"][1:]
    return InvalidConfig(f"setting `{key}`{place}: {message}, got `{str(first['input'])[:80]}`", remedy="ostiary doctor --settings")
