"""Personal data in text: patterns confirmed by check digits and the numbering plans; raises `pii.…` and `phi`."""

import re
from collections.abc import Callable
from functools import cache

from ostiary.controls.pattern import Pattern

_CARD_LENGTHS = (
    (re.compile(r"4"), {13, 16, 19}),
    (re.compile(r"5[1-5]|2(?:2[2-9][1-9]|2[3-9]|[3-6]|7[01]|720)"), {16}),
    (re.compile(r"3[47]"), {15}),
    (re.compile(r"6(?:011|5|4[4-9])|35(?:2[89]|[3-8])"), {16, 17, 18, 19}),
    (re.compile(r"3(?:0[0-5]|[689])"), {14, 16, 19}),
    (re.compile(r"62|81"), {16, 17, 18, 19}),
)
_MONTHS = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mai|okt|dez)[a-z]{0,6}\.?"
_DATE = rf"(?:\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}}|\d{{1,2}}(?:st|nd|rd|th)?\.? {_MONTHS},? \d{{4}}|{_MONTHS} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}})"
_BIRTH = r"(?:date[ _-]?of[ _-]?birth|birth[ _-]?date|birthday|\bd\.?o\.?b\b|born(?: on)?|geburtsdatum|geboren(?: am)?|date de naissance|fecha de nacimiento|data di nascita)"
_GLUE = r"['\"]?[ \t]{0,3}[:=#]?\x1e?[ \t'\"]{0,3}(?:is |no\.? |number )?"


@cache
def patterns() -> tuple[Pattern, ...]:
    """Return the recognisers. Only what a validator or its context makes precise: a false find labels a session."""
    return (*_contact(), *_financial(), *_national(), *_health())


def _contact() -> tuple[Pattern, ...]:
    email = r"(?<![\w.%+-])[\w.%+-]{1,64}(?:@|%40|&#64;)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![\w-])"
    international = r"(?<![\w+])\+[1-9](?:[ ().-]{0,2}\d){6,14}(?!\w)"
    american = r"(?<![\w.+-])(?:\(\d{3}\) ?\d{3}[-. ]|\d{3}(?P<gap>[-. ])\d{3}(?P=gap))\d{4}(?![\w-])"
    return (
        Pattern("email", "pii.email", [r"[\w%+-](?:@|%40|&#64;)[a-z0-9][a-z0-9.-]{0,190}\.[a-z]{2}"], _compiled(email), _email, 260, 96),
        Pattern("phone", "pii.phone", [r"\+[1-9](?:[ ().-]{0,2}[0-9]){6}"], _compiled(international), _phone, 48, 48, costly=True),
        Pattern(
            "phone-us", "pii.phone", [r"[0-9]{3}\)? ?[-. ]?[0-9]{3}[-. ][0-9]{4}"], _compiled(american), _phone, 48, 16, 0, costly=True
        ),
    )


def _financial() -> tuple[Pattern, ...]:
    # looked for at every place, since a number before a card number may have the same shape
    card = r"(?<![\w.+-])(?=((?:\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{4}(?:[ -]\d{1,3})?|\d{4}[ -]\d{6}[ -]\d{4,5}|\d{13,19})(?![\w-]|\.\d)))"
    grouped = r"\b[0-9]{4}[ -][0-9]{4}[ -][0-9]{4}[ -][0-9]{4}\b"
    iban = r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"
    return (
        Pattern(
            "card", "pii.card", [grouped, r"\b[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5}\b", r"\b[0-9]{13,19}\b"], _compiled(card), _card, 64, 16
        ),
        Pattern("iban", "pii.iban", [r"\b[a-z]{2}[0-9]{2}(?: ?[a-z0-9]{4}){2}"], _compiled(iban), _iban, 32, 48),
    )


def _national() -> tuple[Pattern, ...]:
    ssn = r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"
    ssn_named = rf"(?i:\bssn|social[ _-]security(?:[ _-](?:number|no))?){_GLUE}(\d{{9}})(?!\w)"
    nino = r"(?<!\w)(?![DFIQUV])[A-Z](?![DFIQUVO])[A-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D](?!\w)"
    cpf = r"(?<![\w.-])\d{3}\.\d{3}\.\d{3}-\d{2}(?![\w-])"
    nir = r"(?<!\w)[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}(?!\w)"
    fiscal = r"(?<!\w)[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z](?!\w)"
    birth = rf"(?i:{_BIRTH}){_GLUE}((?i:{_DATE}))(?!\w)"
    return (
        Pattern("us-ssn", "pii.ssn", [r"[0-9]{3}-[0-9]{2}-[0-9]{4}"], _compiled(ssn), _checked("us.ssn"), 24, 8),
        Pattern("us-ssn-named", "pii.ssn", [r"\bssn", r"social[ _-]security"], _compiled(ssn_named), _checked("us.ssn"), 32, 48),
        Pattern("uk-nino", "pii.national_id", [r"\b[a-z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[a-d]\b"], _compiled(nino), _nino, 24, 8),
        Pattern("br-cpf", "pii.national_id", [r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}"], _compiled(cpf), _checked("br.cpf"), 24, 8),
        Pattern(
            "fr-nir",
            "pii.national_id",
            [r"\b[12] ?[0-9]{2} ?[01][0-9] ?(?:[0-9]{2}|2[ab]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b"],
            _compiled(nir),
            _checked("fr.nir"),
            32,
            8,
        ),
        Pattern(
            "it-codice-fiscale",
            "pii.national_id",
            [r"\b[a-z]{6}[0-9]{2}[a-z][0-9]{2}[a-z][0-9]{3}[a-z]\b"],
            _compiled(fiscal),
            _checked("it.codicefiscale"),
            32,
            8,
        ),
        Pattern("birth-date", "pii.birth_date", [_BIRTH.replace("ä", ".")], _compiled(birth), None, 48, 64),
    )


def _health() -> tuple[Pattern, ...]:
    record = rf"(?i:\bmrn\b|medical[ _-]record(?:[ _-](?:number|no))?|patient[ _-]?(?:id|number|no)\b|health[ _-]insurance[ _-](?:number|id)){_GLUE}((?=[A-Z0-9-]*\d{{3}})[A-Z0-9][A-Z0-9-]{{4,15}})(?!\w)"
    nhs = rf"(?i:\bnhs(?:[ _-](?:number|no))?){_GLUE}(\d{{3}}[ -]?\d{{3}}[ -]?\d{{4}})(?!\w)"
    diagnosis = r"(?i:\bicd-?10(?:-cm)?(?: codes?)?|\bdiagnos[ie]s(?: codes?)?['\"]?[ ]?[:=]|diagnosed with)[\x1e'\":= ]{0,6}(?<!\w)([A-TV-Z]\d[0-9AB]\.[0-9A-TV-Z]{1,4})(?!\w)"
    return (
        Pattern(
            "medical-record",
            "phi",
            [r"\bmrn\b", r"medical[ _-]record", r"patient[ _-]?(?:id|number|no)\b", r"health[ _-]insurance[ _-]"],
            _compiled(record),
            None,
            48,
            72,
        ),
        Pattern("uk-nhs", "phi", [r"\bnhs"], _compiled(nhs), _checked("gb.nhs"), 16, 64),
        Pattern("diagnosis-code", "phi", [r"\bicd-?10", r"diagnos[ie]s", r"diagnosed with"], _compiled(diagnosis), None, 24, 72),
    )


def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.ASCII)


def _email(match: re.Match[str], group: int) -> bool:
    """An address, also as it stands in the query of a link or in HTML."""
    local, _, domain = match[group].replace("%40", "@").replace("&#64;", "@").rpartition("@")
    reserved = domain.lower().rpartition(".")[2] in {
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "js",
        "css",
        "py",
        "service",
        "timer",
        "socket",
        "mount",
        "target",
    }
    return not (reserved or local.startswith(".") or local.endswith(".") or ".." in local)


def _card(match: re.Match[str], group: int) -> bool:
    text = match[group]
    digits = text.replace(" ", "").replace("-", "")
    if not any(len(digits) in lengths and prefix.match(digits) for prefix, lengths in _CARD_LENGTHS):
        return False
    groups = re.split("[ -]", text)
    if len(groups) > 1 and not (all(len(part) == 4 for part in groups[:-1]) or [len(part) for part in groups] in ([4, 6, 5], [4, 6, 4])):
        return False
    return len(set(digits)) > 1 and _luhn(digits)


def _luhn(digits: str) -> bool:
    doubled = [int(char) * 2 for char in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(value - 9 if value > 9 else value for value in doubled)) % 10 == 0


def _iban(match: re.Match[str], group: int) -> bool:
    text = match[group].replace(" ", "")
    return 15 <= len(text) <= 34 and int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1


def _nino(match: re.Match[str], group: int) -> bool:
    return match[group][:2] not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}


def _phone(match: re.Match[str], group: int) -> bool:
    import phonenumbers

    try:
        number = phonenumbers.parse(match[group], "US")
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_valid_number(number)


def _checked(module: str) -> Callable[[re.Match[str], int], bool]:
    """Return a confirmer that asks a validator of python-stdnum."""

    def confirm(match: re.Match[str], group: int) -> bool:
        from importlib import import_module

        return bool(import_module(f"stdnum.{module}").is_valid(match[group]))

    return confirm
