"""Dates and times as people write them, in one canonical form (ISO 8601)."""

import re
from datetime import date

_MONTHS = (
    "january jan januar janvier janv enero ene gennaio gen januari janeiro",
    "february feb februar février fevrier févr febrero febbraio februari fevereiro",
    "march mar märz maerz mrz mars marzo maart março",
    "april apr avril avr abril abr aprile",
    "may mai mayo maggio mag mei maio",
    "june jun juni juin junio giugno giu junho",
    "july jul juli juillet juil julio luglio lug julho",
    "august aug août aout agosto ago augustus",
    "september sep sept septembre septiembre settembre set setembro",
    "october oct oktober okt octobre octubre ottobre ott outubro",
    "november nov novembre noviembre novembro",
    "december dec dezember dez décembre decembre diciembre dic dicembre dezembro",
)
MONTHS: dict[str, int] = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}
_OTHERS = (
    "января январь stycznia styczeń ocak يناير जनवरी ianuarie januára",
    "февраля февраль lutego luty şubat فبراير फरवरी फ़रवरी februarie",
    "марта март marca marzec mart مارس मार्च martie",
    "апреля апрель kwietnia kwiecień nisan أبريل ابريل अप्रैल aprilie",
    "мая май maja mayıs مايو मई",
    "июня июнь czerwca czerwiec haziran يونيو जून iunie",
    "июля июль lipca lipiec temmuz يوليو जुलाई iulie",
    "августа август sierpnia sierpień ağustos أغسطس اغسطس अगस्त",
    "сентября сентябрь września wrzesień eylül سبتمبر सितंबर सितम्बर septembrie",
    "октября октябрь października październik ekim أكتوبر اكتوبر अक्टूबर अक्तूबर octombrie",
    "ноября ноябрь listopada listopad kasım نوفمبر नवंबर नवम्बर noiembrie",
    "декабря декабрь grudnia grudzień aralık ديسمبر दिसंबर दिसम्बर decembrie",
)
MONTHS |= {name: number for number, names in enumerate(_OTHERS, 1) for name in names.split()}
TODAY = {
    "today": 0,
    "tonight": 0,
    "tomorrow": 1,
    "yesterday": -1,
    "heute": 0,
    "morgen": 1,
    "gestern": -1,
    "demain": 1,
    "mañana": 1,
    "domani": 1,
}
"""Words for days, counted from today."""
WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            "monday montag lundi lunes lunedì",
            "tuesday dienstag mardi martes martedì",
            "wednesday mittwoch mercredi miércoles mercoledì",
            "thursday donnerstag jeudi jueves giovedì",
            "friday freitag vendredi viernes venerdì",
            "saturday samstag samedi sábado sabato",
            "sunday sonntag dimanche domingo domenica",
        )
    )
    for name in names.split()
}
"""Days of the week, Monday 0."""
_MONTH = "(?:" + "|".join(sorted(MONTHS, key=len, reverse=True)) + ")"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s?[ap]\.?m\b\.?)?(?:Z|\s?UTC|[+-]\d{2}:?\d{2})?"

DATE = (
    rf"(?<![\w./-])(?P<iso>\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}})(?:[T ]\s?(?P<isotime>{_CLOCK}))?(?![\w/-])"
    r"|(?<![\w./-])(?P<numeric>\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2}))(?![\w/-])"
    rf"|(?<!\w)(?P<day>\d{{1,2}})(?:st|nd|rd|th|\.)?\s(?:of\s|de\s)?(?P<month>{_MONTH})(?!\w)\.?(?:,?\s(?:de\s)?(?P<year>\d{{4}})(?!\w))?"
    r"|(?<!\d)(?:(?P<year3>\d{4})[年년]\s?)?(?P<month3>\d{1,2})[月월]\s?(?P<day3>\d{1,2})[日일]"
    rf"|(?<!\w)(?P<month2>{_MONTH})\.?\s(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?(?![\w:])(?:,?\s(?P<year2>\d{{4}})(?!\w))?"
)
TIME = rf"(?<![\w:.]){_CLOCK}(?![\w:])|(?<![\w:.])\d{{1,2}}\s?[ap]\.?m\b\.?|(?<![\w:.])\d{{1,2}}\s?(?:uhr|h)\b|(?<!\d)(?:午前|午後|오전 ?|오후 ?)?\d{{1,2}}[時시点](?!間|间|간)(?:\s?(?:\d{{1,2}}[分분]|半))?"
_EASTERN = re.compile(r"(午前|午後|오전|오후)?\s?(\d{1,2})[時시点]\s?(?:(\d{1,2})[分분]|(半))?")
_TIME = re.compile(r"(\d{1,2})(?::(\d{2}))?(?::(\d{2})(?:\.\d+)?)?\s?([ap])?", re.IGNORECASE)


def read_date(match: re.Match[str]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return the keys of a matched date, and those of its other reading when day and month could be exchanged.

    `d:2026-05-24T10:00` and its day for a full one; `D:05-24` for one whose year is left open.
    """
    if match["iso"]:
        year, month, day = re.split(r"[-/.]", match["iso"])
        key = _day(int(year), int(month), int(day))
        if key is None:
            return None
        at = read_time(match["isotime"]) if match["isotime"] else ""
        return ((f"{key}T{at}",) if at else (key,)), ()
    if match["numeric"]:
        return _numeric(match["numeric"])
    if match["month3"]:
        if not match["year3"]:
            return (f"D:{int(match['month3']):02}-{int(match['day3']):02}",), ()
        key = _day(int(match["year3"]), int(match["month3"]), int(match["day3"]))
        return ((key,), ()) if key else None
    day, month = int(match["day"] or match["day2"]), MONTHS[(match["month"] or match["month2"]).lower()]
    written = match["year"] or match["year2"]
    if written:
        key = _day(int(written), month, day)
        return ((key,), ()) if key else None
    return ((f"D:{month:02}-{day:02}",), ()) if _day(2024, month, day) else None


def read_time(text: str) -> str | None:
    """Return a time of day as `HH:MM`, in 24 hours, with seconds only where they are not zero."""
    if (eastern := _EASTERN.match(text)) is not None:
        half = "p" if eastern[1] in {"午後", "오후"} else "a" if eastern[1] else ""
        text = f"{eastern[2]}:{int(eastern[3] or (30 if eastern[4] else 0)):02}{half}"
    match = _TIME.match(text)
    if match is None:
        return None
    hour, minute, second = int(match[1]), int(match[2] or 0), int(match[3] or 0)
    half = (match[4] or "").lower()
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "p" else 0)
    if hour > 24 or minute > 59 or second > 59:
        return None
    zone = re.search(r"[+-]\d{2}:?\d{2}\Z", text)
    offset = "" if zone is None or set(zone.group()) <= set("+-:0") else zone.group()
    return f"{hour:02}:{minute:02}" + (f":{second:02}" if second else "") + offset


def _numeric(text: str) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    first, second, year = map(int, re.split(r"[./-]", text))
    year += 2000 if year < 100 else 0
    european, american = _day(year, second, first), _day(year, first, second)
    if "." in text or american is None:
        return ((european,), ()) if european else None
    if european is None or european == american:
        return (american,), ()
    return (), (american, european)


def _day(year: int, month: int, day: int) -> str | None:
    try:
        return f"d:{date(year, month, day).isoformat()}"
    except ValueError:
        return None
