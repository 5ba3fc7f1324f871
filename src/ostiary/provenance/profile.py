"""A first guess at what a tool's arguments and results mean, from its schema, names, formats and annotations alone.

A guess relaxes nothing: an operator confirms it. What is not understood counts as deciding where the effect goes.
"""

# ruff: noqa: SIM905 - word lists read best as text

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from ostiary.core.registry import Profile
from ostiary.provenance.verbs import is_reversible, lets_in, looks_outside, only_looks
from ostiary.provenance.words import parts

_PAYLOAD = frozenset(
    (
        "body subject message text note notes comment comments content contents description summary title caption details detail "
        "reason memo remarks remark review feedback markdown html prompt question answer reply signature greeting label labels tag "
        "tags nachricht betreff inhalt notiz bemerkung anmerkung hinweis beschreibung kommentar begründung begruendung grund zweck "
        "verwendungszweck titel texte sujet contenu objet corps motif libelle libellé commentaire remarque titre asunto mensaje contenido "
        "nota descripcion motivo concepto comentario messaggio oggetto testo commento causale bericht onderwerp omschrijving memo "
        "instructions instruction explanation rationale justification transcript excerpt abstract prose paragraph anweisung erklärung "
        "erlaeuterung erläuterung zusammenfassung nachrichtentext buchungstext freitext résumé resume explication instrucción instrucciones "
        "texto resumen descripción explicación observación observaciones aviso mensagem conteúdo conteudo título assunto corpo descrição "
        "descricao comentário comentario observação observacao observações orientação orientacoes orientações recado resumo legenda "
        "descrizione riassunto contenuto nota tekst toelichting samenvatting opmerking treść tresc wiadomość wiadomosc opis uwagi temat "
        "mesaj metin açıklama aciklama konu not сообщение текст описание комментарий тема примечание meddelande beskrivning besked "
        "الرسالة رسالة نص ملاحظة ملاحظات وصف सन्देश संदेश विवरण टिप्पणी 件名 本文 内容 備考 メモ 説明 消息 正文 备注 描述 标题 메시지 내용 제목 메모 설명"
    ).split()
)
_IDENTIFIER = frozenset(
    ["id", "ids", "uid", "uuid", "guid", "identifier", "number", "no", "nr", "num", "key", "ref", "reference", "pk", "sku", "isbn", "code"]
)
_TITLES = frozenset("title titel titre titulo titolo label labels tag tags".split())
"""Short words about a thing, which a system shows as its name."""
_ENDINGS = ("nummer", "kennung", "numero", "kennzeichen")
"""How compound words for identifiers end."""
_PAGING = frozenset(
    (
        "limit offset page pages count size cursor sort order direction fields format verbose timeout max min top skip take "
        "columns width height lang language locale encoding indent depth precision unit units timezone tz "
        "seite seiten treffer höchstzahl límite limite página pagina páginas tamaño tamanho taille sayfa strona limiet 件数 ページ"
    ).split()
)
_TARGETS = frozenset(
    (
        "to cc bcc recipient recipients from sender address addresses email emails mail phone participants participant attendees "
        "invitees invite user users username member members channel channels group team room owner assignee account iban bic payee "
        "beneficiary amount price total sum value quantity currency date time start end deadline due path file filename folder "
        "directory dir url uri link host domain ip endpoint webhook target destination source repo repository branch project "
        "workspace command cmd script sql shell code secret password token credential permission permissions role roles visibility "
        "scope access"
    ).split()
)
_RISKY = frozenset(
    ("permission permissions role roles visibility public access scope recursive force overwrite admin privilege level").split()
)

NAMING = frozenset(
    (
        "name title subject filename file path username user handle login channel slug email mail iban account phone url isbn sku "
        "repo repository project contact person customer client kunde mitarbeiter employee traveller traveler guest supplier vendor payee "
        "hotel restaurant company event nom nombre nome titel titre bezeichnung code ref reference numero"
    ).split()
)
"""Words for what people call one thing by."""

_BLOCKS = frozenset("children blocks paragraphs".split())
"""Lists of the parts of a page, whose form a schema leaves open: prose with structure."""
_MEANT = frozenset(
    (
        "command cmd script sql shell code url uri link host domain endpoint webhook secret password token credential path amount price "
        "account iban recipient address permission role access"
    ).split()
)
"""Words that make what follows them no mere prose: `command_text`, `account_title`; `email_body` and `file_content` are."""
_MONEY = frozenset(
    "amount price sum total cost value betrag summe montant importe monto valor importo bedrag kwota tutar 金額 金额 금액".split()
)
_DIRECTORIES = frozenset(
    "channels contacts payees beneficiaries groups teams rooms departments kontakte kanäle gruppen contactos canales".split()
)
_SECRETS = frozenset("token tokens password passwort passcode secret credential credentials cookie jwt otp pin contraseña senha".split())
_COUNTS = frozenset("quantity quantities count qty quantite quantité menge anzahl stück cantidad quantità aantal".split())
_LABEL_MARKS: dict[str, tuple[str, ...]] = {
    "secret": (
        "password",
        "api key",
        "private key",
        "lock code",
        "access code",
        "door code",
        "security code",
        "pin code",
        "one time code",
        "secret",
        "credential",
        "passwort",
        "contraseña",
        "mot de passe",
    ),
    "confidential": (
        "passport",
        "credit card",
        "ssn",
        "social security",
        "tax id",
        "national id",
        "salary",
        "payroll",
        "reisepass",
        "gehalt",
    ),
    "phi": ("patient", "diagnosis", "medical", "prescription", "diagnose"),
}
SHAPED = "*#"
"""Among the vouched fields: any whose value is one identifier, number, date, address or short name, and whose name does not say prose."""
_NAMED = frozenset("name title filename username participants".split())
_VOUCHED = frozenset(
    ("id ids uid uuid iban account amount balance total price date timestamp created updated sender from email url currency status").split()
)


MAX_NESTED = 4
"""How deep in an argument references of its schema are followed."""


_FIELDS = (
    _IDENTIFIER
    | _TARGETS
    | NAMING
    | _COUNTS
    | _PAYLOAD
    | frozenset("dob birthdate birthday age gender type kind status state city zip".split())
)
"""How names of fields end."""


@lru_cache(maxsize=4096)
def is_identifier(name: str) -> bool:
    """Say whether an argument or field by this name holds the number or code of a thing."""
    words = parts(name)
    return bool(words) and (words[-1] in _IDENTIFIER or words[-1].endswith(_ENDINGS))


@lru_cache(maxsize=4096)
def is_naming(name: str) -> bool:
    """Say whether an argument or field by this name holds what people call a thing by."""
    return is_identifier(name) or bool(NAMING.intersection(parts(name)[-1:]))


@lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Say whether an argument or field by this name holds what proves who somebody is, and names nothing."""
    return not _SECRETS.isdisjoint(parts(name))


@lru_cache(maxsize=4096)
def is_prose(name: str) -> bool:
    """Say whether a field by this name holds what somebody wrote."""
    return bool((_PAYLOAD - _TITLES).intersection(parts(name)[-1:]))


@lru_cache(maxsize=4096)
def is_field(key: str) -> bool:
    """Say whether a key of an object that the schema leaves open is the name of a field, and so structure, not a value somebody chose."""
    words = parts(key)
    return bool(words) and key.isidentifier() and key[:1].islower() and not _FIELDS.isdisjoint(words[-1:])


@lru_cache(maxsize=4096)
def is_count(name: str) -> bool:
    """Say whether an argument by this name says how many of a thing."""
    return not _COUNTS.isdisjoint(parts(name)[-1:])


@lru_cache(maxsize=4096)
def is_money(name: str) -> bool:
    """Say whether an argument by this name says how much is paid."""
    return not _MONEY.isdisjoint(parts(name)[-1:])


@lru_cache(maxsize=4096)
def is_paging(name: str) -> bool:
    """Say whether an argument by this name only says how much of an answer to return, and in which order."""
    words = parts(name)
    return bool(words) and not _PAGING.isdisjoint(words) and _TARGETS.isdisjoint(words)


def properties_of(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what an input schema says of each argument, with references and optional (`null`) alternatives resolved."""
    defined = _mapping(schema.get("$defs")) or _mapping(schema.get("definitions"))
    return {str(name): _whole(_mapping(rule), defined, 0) for name, rule in _mapping(schema.get("properties")).items()}


def _whole(rule: Mapping[str, Any], defined: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
    """Return a rule resolved down to the fields of its objects and lists."""
    rule = _resolved(rule, defined)
    if depth >= MAX_NESTED:
        return rule
    inner, items = _mapping(rule.get("properties")), _mapping(rule.get("items"))
    if inner:
        rule = {**rule, "properties": {str(name): _whole(_mapping(each), defined, depth + 1) for name, each in list(inner.items())[:256]}}
    return {**rule, "items": _whole(items, defined, depth + 1)} if items else rule


def _resolved(rule: Mapping[str, Any], defined: Mapping[str, Any]) -> Mapping[str, Any]:
    for _ in range(8):
        reference = rule.get("$ref")
        stated = rule.get("anyOf")
        options = [option for option in stated if isinstance(option, Mapping)] if isinstance(stated, list) else []
        real = [option for option in options if option.get("type") != "null"]
        if isinstance(reference, str):
            inner = _mapping(defined.get(reference.rpartition("/")[2]))
        elif len(real) == 1:
            inner = real[0]
        else:
            return rule
        rule = {**inner, **{key: value for key, value in rule.items() if key not in {"$ref", "anyOf"}}}
    return rule


def infer(definition: Mapping[str, Any]) -> Profile:
    """Return the guessed profile of an MCP Tool object: unconfirmed, and conservative where it does not understand."""
    schema = _mapping(definition.get("inputSchema"))
    properties = properties_of(schema)
    payload = frozenset(name for name, rule in properties.items() if is_payload(name, rule))
    is_door = lets_in(str(definition.get("name", "")))
    control = frozenset(
        name for name, rule in properties.items() if name not in payload and decides(name, rule) and not (is_door and is_secret(name))
    )
    effect = _effect(definition)
    return Profile(
        effect=effect,
        external=_is_external(definition, effect),
        control=control,
        payload=payload,
        attested=_vouched(definition),
        directory=_directory(str(definition.get("name", ""))) if effect == "read" else frozenset(),
        labels=_labels(definition) if effect == "read" else frozenset(),
        confirmed=False,
    )


def _directory(name: str) -> frozenset[str]:
    """Guess the fields of a list that its administrators keep: contacts, payees, channels; it counts where the user speaks of such."""
    last = parts(name)[-1:]
    if not last or last[0] not in _DIRECTORIES:
        return frozenset()
    return frozenset({f"?{last[0]}", "result", *(f"*~{word}" for word in ("name", "id", "email", "mail", "iban", "slug", "phone"))})


def _effect(definition: Mapping[str, Any]) -> str:
    """Read only if the name says so and no annotation says otherwise; annotations alone never make a tool harmless."""
    notes = _mapping(definition.get("annotations"))
    if notes.get("destructiveHint") is True and notes.get("readOnlyHint") is not True:
        return "irreversible"
    name = str(definition.get("name", ""))
    if only_looks(name, str(definition.get("description", ""))):
        return "irreversible" if notes.get("readOnlyHint") is False and "destructiveHint" in notes else "read"
    return "reversible" if is_reversible(name) or lets_in(name) else "irreversible"


def _is_external(definition: Mapping[str, Any], effect: str) -> bool:
    """Reaching other people or the open world is assumed unless the tool only reads or changes its own records."""
    if _mapping(definition.get("annotations")).get("openWorldHint") is True and effect != "read":
        return True
    names = {word for name in _mapping(_mapping(definition.get("inputSchema")).get("properties")) for word in parts(str(name))}
    reaches = names & {
        "url",
        "uri",
        "webhook",
        "host",
        "endpoint",
        "recipient",
        "recipients",
        "to",
        "participants",
        "attendees",
        "invitees",
    }
    if effect == "read":
        return bool(names & {"url", "uri", "webhook", "host", "endpoint"}) or looks_outside(str(definition.get("name", "")))
    return effect == "irreversible" or bool(reaches)


def is_payload(name: str, rule: Mapping[str, Any]) -> bool:
    """Say whether an argument is prose, going by its name and schema."""
    words = parts(name)
    if not words or rule.get("format") in {"email", "uri", "uri-reference", "hostname", "date", "date-time", "uuid", "ipv4", "ipv6"}:
        return False
    kinds = _kinds(rule)
    if words[-1] in {"tag", "label"} and len(words) > 1:
        return False
    if words[-1] in _BLOCKS and kinds == {"array"}:
        return not _mapping(_mapping(rule.get("items")).get("properties"))
    return words[-1] in _PAYLOAD and kinds <= {"string", "null", "array"} and not _MEANT.intersection(words[:-1]) and "enum" not in rule


def decides(name: str, rule: Mapping[str, Any]) -> bool:
    """Say whether an argument decides where the effect goes: all do that are not paging, flags or small fixed lists."""
    words = parts(name)
    if words[-2:] == ["time", "zone"]:
        words = [*words[:-2], "timezone"]
    kinds = _kinds(rule)
    if (kinds <= {"boolean", "null"} and kinds) or "enum" in rule or "const" in rule:
        return bool(_RISKY.intersection(words))
    if kinds and kinds <= {"integer", "number", "null"} and _PAGING.intersection(words):
        return bool(_TARGETS.intersection(words))
    return not (words and words[-1] in _PAGING - {"size", "count"} and not _TARGETS.intersection(words))


def _kinds(rule: Mapping[str, Any]) -> set[str]:
    stated = rule.get("type")
    found = (
        {stated} if isinstance(stated, str) else {item for item in stated if isinstance(item, str)} if isinstance(stated, list) else set()
    )
    for word in ("anyOf", "oneOf"):
        options = rule.get(word)
        if isinstance(options, list):
            for option in options[:16]:
                found |= _kinds(option) if isinstance(option, Mapping) else {"unknown"}
    return found


def _labels(definition: Mapping[str, Any]) -> frozenset[str]:
    """Guess what a reading tool returns that must not travel, from what is said of it; labels only make it stricter."""
    said = f"{definition.get('name', '')} {definition.get('description', '')} {' '.join(_names(_mapping(definition.get('outputSchema'))))}"
    text = f" {' '.join(parts(said[:8_192]))} "
    return frozenset(label for label, marks in _LABEL_MARKS.items() if any(f" {mark} " in text or f" {mark}s " in text for mark in marks))


def _names(schema: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    for name, rule in list(_mapping(schema.get("properties")).items())[:256] if depth < 8 else ():
        yield str(name)
        yield from _names(_mapping(_mapping(rule).get("items")) or _mapping(rule), depth + 1)


def _vouched(definition: Mapping[str, Any]) -> frozenset[str]:
    """Guess the vouched fields of an answer; without an output schema, those named as systems name their own."""
    schema = _mapping(definition.get("outputSchema"))
    return frozenset({SHAPED, *_vouched_fields(schema)}) if schema else frozenset({SHAPED, *(f"*~{word}" for word in _VOUCHED | _NAMED)})


def _vouched_fields(schema: Mapping[str, Any], path: str = "", depth: int = 0) -> Iterator[str]:
    """Guess which result fields the system itself writes: identifiers, amounts, dates, senders. Shown, never believed unconfirmed."""
    if depth > 8:
        return
    for name, rule in list(_mapping(schema.get("properties")).items())[:256]:
        rule = _mapping(rule)  # noqa: PLW2901 - narrowed
        here = f"{path}.{name}" if path else str(name)
        inner = _mapping(rule.get("items")) if "items" in rule else rule
        if "properties" in inner:
            yield from _vouched_fields(inner, here, depth + 1)
        elif _VOUCHED.intersection(parts(str(name))[-1:]) or rule.get("format") in {"date", "date-time", "uuid", "email", "uri"}:
            yield here


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
