"""When two spellings are the same value: addresses, accounts, links, dates, times, amounts, each in one canonical key.

A key is a kind and a canonical text (`e:bob@example.com`, `n:1000`). Keys that grant trust are strict: they fold case,
width and formatting, never look-alike letters, and never a part of a value.
"""

# ruff: noqa: SIM905 - word lists read best as text

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from ostiary.core.quick import quick
from ostiary.provenance.dates import DATE, TIME, read_date, read_time
from ostiary.provenance.words import fold, plain_digits

MAX_VALUE = 256
"""Longest text, in characters, that is read as one value; a longer one is prose."""

_CURRENCIES = {
    "€": "eur", "$": "usd", "£": "gbp", "¥": "jpy", "₹": "inr", "₩": "krw", "₽": "rub", "₺": "try", "₪": "ils", "฿": "thb",
    "euro": "eur", "euros": "eur", "dollar": "usd", "dollars": "usd", "pound": "gbp", "pounds": "gbp", "yen": "jpy",
    "r$": "brl", "zł": "pln", "₴": "uah", "₫": "vnd", "₦": "ngn", "रुपये": "inr", "रुपए": "inr", "rupee": "inr", "ريال": "sar",
    "ر.س": "sar", "درهم": "aed", "руб": "rub", "рублей": "rub", "円": "jpy", "元": "cny", "원": "krw", "reais": "brl", "pesos": "mxn",
    "franken": "chf", "francs": "chf", "rupees": "inr", "us$": "usd", "a$": "aud", "c$": "cad", "bucks": "usd",
}  # fmt: skip
_CODES = (
    "usd eur gbp chf jpy cny inr aud cad nzd sek nok dkk pln czk huf ron bgn try brl mxn zar sgd hkd krw thb idr myr php aed "
    "sar ils btc eth usdt usdc"
).split()
_FINE = frozenset("btc eth usdt usdc".split())
"""Currencies written with more than two decimals."""
_CURRENCIES |= {code: code for code in _CODES}
_SCALES = {
    "k": 3, "thousand": 3, "tausend": 3, "mille": 3, "mil": 3, "mio": 6, "million": 6, "millions": 6, "millionen": 6,
    "lakh": 5, "lakhs": 5, "लाख": 5, "crore": 7, "crores": 7, "करोड़": 7,
    "bn": 9, "billion": 9, "mrd": 9, "milliarden": 9,
}  # fmt: skip
_CURRENCY = "(?:" + "|".join(sorted(map(re.escape, _CURRENCIES), key=len, reverse=True)) + ")"
_SCALE = "(?:" + "|".join(sorted(_SCALES, key=len, reverse=True)) + ")"
_NUMBER = r"\d{1,2}(?:,\d{2})+,\d{3}(?:\.\d{1,9})?|\d{1,3}(?:[ ,.'’\u00a0\u202f]\d{3})+(?:[.,]\d{1,9})?|\d+(?:[.,]\d+)?"

_VALUE = re.compile(
    r"(?P<url>(?<![\w+.-])(?:[a-z][a-z0-9+.-]{0,30}://|www\.)[^\s<>\"'`“”«»]+)"
    r"|(?P<mail>(?<![\w.@])[\w.!#$%&*+/=?^{}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,12})"
    r"|(?P<iban>(?<!\w)[a-z]{2}\d{2}(?:[ -]?[a-z0-9]){11,30}(?!\w))"
    rf"|(?P<date>{DATE})|(?P<time>{TIME})"
    r"|(?P<phone>(?<![\w.+])(?:\+|00)\d(?:[ ().\-/]{0,2}\d){6,14}(?!\w)|(?<![\w.+])(?:\(0\d+\)|0\d)(?:[ ()\-/]{1,2}\d+){1,6}(?!\w))"
    rf"|(?P<amount>(?<![\w.,+-])[-−]?(?:(?P<before>{_CURRENCY})\s?)?[-−]?(?P<number>{_NUMBER})(?!\d|[.,]\d)"
    rf"(?:\s?(?P<scale>{_SCALE})(?!\w))?(?:\s?(?P<after>{_CURRENCY}|%)(?!\w))?(?!\w))",
    re.IGNORECASE,
)
_MAY_HOLD_VALUE = re.compile(r"[\d@]|://|www\.", re.IGNORECASE)
_NUMERIC = re.compile(r"[-−]?(?:0|[1-9]\d*)(?:\.\d+)?\Z", re.ASCII)
_ENDINGS = frozenset(
    "md py sh rs pl ps zip mov app so cc doc docx xls xlsx ppt pptx pdf txt csv json yaml yml toml html htm js ts log png jpg jpeg".split()
)
MAIL = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,12}")
_BASE36 = {sign: str(int(chr(sign), 36)) for sign in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_DOMAIN = re.compile(r"(?<![\w@./:-])(?:[a-z0-9-]+\.)+[a-z]{2,24}(?:/[^\s<>\"'`“”«»]*)?", re.IGNORECASE)

IBAN_LENGTHS: dict[str, int] = {
    code[:2]: int(code[2:])
    for code in (
        "ad24 ae23 al28 at20 az28 ba20 be16 bg22 bh22 br29 by28 ch21 cr22 cy28 cz24 de22 dk18 do28 ee20 eg29 es24 fi18 fo18 fr27 "
        "gb22 ge22 gi23 gl18 gr27 gt28 hr21 hu28 ie22 il23 iq23 is26 it27 jo30 kw30 kz20 lb28 lc32 li21 lt20 lu20 lv21 ly25 mc27 "
        "md24 me22 mk19 mr27 mt31 mu30 nl18 no15 pk24 pl28 ps29 pt25 qa29 ro24 rs22 sa24 sc31 se24 si19 sk24 sm27 st25 sv28 tl23 "
        "tn24 tr26 ua29 va22 vg24 xk20"
    ).split()
}


@quick
@dataclass(frozen=True, slots=True)
class Found:
    """One value a text holds: where, and its canonical keys, the most exact first."""

    start: int
    end: int
    kind: str
    """`url`, `mail`, `iban`, `date`, `time`, `phone`, `amount`."""
    keys: tuple[str, ...]
    guesses: tuple[str, ...] = ()
    """Keys of other readings a person could mean (day and month exchanged)."""


def scan(text: str) -> list[Found]:
    """Return the typed values in a text, none overlapping, in order."""
    if _MAY_HOLD_VALUE.search(text) is None:
        return []
    text = plain_digits(text)
    found, position = [], 0
    while (match := _VALUE.search(text, position)) is not None:
        value = _read(match)
        if value is None:
            position = _after(text, match)
        else:
            found.append(value)
            position = max(value.end, match.start() + 1)
    return found


def whole(text: str) -> Found | None:
    """Return the typed value a text is, when it is nothing but that value."""
    if _MAY_HOLD_VALUE.search(text) is None:
        return None
    text = plain_digits(text.strip())
    if len(text) > MAX_VALUE:
        return None
    if _NUMERIC.match(text):
        return Found(0, len(text), "amount", (f"n:{decimal_key(text)}",))
    if "@" in text and is_mail(text):
        return Found(0, len(text), "mail", (f"e:{fold(text)}",))
    found = scan(text)
    return found[0] if len(found) == 1 and found[0].start == 0 and found[0].end == len(text) else None


def is_mail(text: str) -> bool:
    """Say whether a text is one e-mail address."""
    return MAIL.fullmatch(text) is not None


def domains(text: str) -> list[str]:
    """Return the link keys of bare host names in a text (`example.com/page`), as a person types them."""
    keys = []
    for match in _DOMAIN.finditer(text):
        bare = trim_link(match.group())
        if "/" not in bare and bare.count(".") == 1 and bare.rpartition(".")[2].lower() in _ENDINGS:
            continue  # `notes.md` is a file to whoever wrote it, whatever else it is
        keys += [link_key(f"https://{bare}"), link_key(f"http://{bare}"), link_key(f"https://www.{bare}")]
    return keys


def number_key(value: float) -> str:
    """Return the canonical text of a JSON number: 1000, 1000.0 and 1e3 are one."""
    return decimal_key(repr(value))


def decimal_key(text: str) -> str:
    """Return the canonical text of a decimal number, without a trailing fraction of zeros."""
    try:
        value = Decimal(text.replace("−", "-"))
        if not value.is_finite() or abs(value.adjusted()) > 64:
            return text
        plain = format(value, "f")
    except InvalidOperation:
        return text
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain in {"-0", ""} else plain


def link_key(url: str) -> str:
    """Return the canonical key of a URL: scheme and host without case, no default port, no empty path.

    Anything that could make two readers disagree about the host (user names, backslashes, controls) stays in the key, so
    such a URL equals nothing but itself.
    """
    url = url.strip()
    if url[:4].lower() == "www.":
        url = f"https://{url}"
    scheme, _, rest = url.partition("://")
    end = min((at for at in (rest.find(mark) for mark in "/?#") if at >= 0), default=len(rest))
    host, path = fold(rest[:end]), rest[end:]
    scheme = scheme.lower()
    if (scheme, host[-4:]) == ("https", ":443"):
        host = host[:-4]
    elif (scheme, host[-3:]) == ("http", ":80"):
        host = host[:-3]
    return f"u:{scheme}://{host}{'' if path == '/' else path}"


def iban_key(text: str) -> tuple[str, int] | None:
    """Return the key of the IBAN a text begins with, and how much of the text it takes (ISO 13616, checked)."""
    size = IBAN_LENGTHS.get(text[:2].lower(), 0)
    compact, taken = [], 0
    for sign in text:
        taken += 1
        if sign.isalnum():
            compact.append(sign.upper())
            if len(compact) == size:
                break
    account = "".join(compact)
    if len(account) != size or not size or not account.isascii() or text[taken : taken + 1].isalnum():
        return None
    if int((account[4:] + account[:4]).translate(_BASE36)) % 97 != 1:
        return None
    return f"i:{account}", taken


def currency_of(text: str) -> str:
    """Return the ISO 4217 code (lower case) a word or sign stands for, or nothing."""
    return _CURRENCIES.get(text.strip().lower(), "")


def _after(text: str, match: re.Match[str]) -> int:
    """Return where to go on when something only looked like a value: after its first word."""
    end = match.start() + 1
    while end < match.end() and text[end].isalnum():
        end += 1
    return end


def _read(match: re.Match[str]) -> Found | None:
    kind, start, end, text = match.lastgroup or "", match.start(), match.end(), match.group()
    for name in ("url", "mail", "iban", "date", "time", "phone", "amount"):
        if match.group(name) is not None:
            kind = name
            break
    if kind == "url":
        url = trim_link(text)
        return Found(start, start + len(url), kind, (link_key(url),))
    if kind == "mail":
        return Found(start, end, kind, (f"e:{fold(text)}",))
    if kind == "iban":
        account = iban_key(text)
        return Found(start, start + account[1], kind, (account[0],)) if account else None
    if kind == "date":
        read = read_date(match)
        return Found(start, end, kind, *read) if read else None
    if kind == "time":
        at = read_time(text)
        return Found(start, end, kind, (f"h:{at}",)) if at else None
    if kind == "phone":
        digits = re.sub(r"\D", "", text)
        international = text.startswith(("+", "00"))
        return Found(start, end, kind, (f"t:+{digits.removeprefix('00')}" if international else f"t:{digits}",))
    return _amount(match)


def _amount(match: re.Match[str]) -> Found:
    before, after = match["before"] or "", match["after"] or ""
    money = currency_of(before) or currency_of(after)
    number = _plain_number(match["number"], is_money=bool(money) and money not in _FINE)
    glued = match["scale"] and not match.string[match.start("scale") - 1].isspace()
    if match["scale"] and (glued or len(match["scale"]) > 1):
        number = str(Decimal(number).scaleb(_SCALES[match["scale"].lower()]))
    sign = "-" if any(mark in match.group()[: match.start("number") - match.start()] for mark in "-−") else ""
    key = f"n:{decimal_key(sign + number)}"
    keys: tuple[str, ...] = (key,)
    if after == "%":
        keys = (f"{key} %",)
    elif money:
        keys = (f"{key} {money}", key)
    return Found(match.start(), match.end(), "amount", keys)


def _plain_number(text: str, *, is_money: bool) -> str:
    """Return a number as Python reads it, deciding which of `.` and `,` is the decimal point as a careful reader would.

    The last of two different marks is the point. One mark repeated groups thousands. A single comma before three digits
    groups; a single dot before three digits is a point, except in sums of money, which have no third decimal.
    """
    text = re.sub(r"[ '’\u00a0\u202f]", "", text)
    dot, comma = text.rfind("."), text.rfind(",")
    if dot >= 0 and comma >= 0:
        group, point = (",", ".") if dot > comma else (".", ",")
        return text.replace(group, "").replace(point, ".")
    mark = "." if dot >= 0 else ","
    at = max(dot, comma)
    if at < 0:
        return text
    groups = text.count(mark) > 1 or (len(text) - at == 4 and (mark == "," or is_money))
    return text.replace(mark, "") if groups else text.replace(mark, ".")


def trim_link(url: str) -> str:
    """Return a link without the signs that end a sentence after it."""
    url = url.rstrip(".,;:!?*_'’”")
    for opening, closing in ("()", "[]", "{}"):
        while url.endswith(closing) and url.count(closing) > url.count(opening):
            url = url[:-1].rstrip(".,;:!?*")
    return url
