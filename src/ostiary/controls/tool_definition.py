"""Signs that a tool's definition gives orders to the model instead of saying what the tool does: quarantined until reviewed."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import hyperscan

from ostiary.controls import text_rules
from ostiary.core.registry import Tool

MAX_FINDINGS = 20
MAX_TEXT = 16_384
MAX_READ = 131_072
"""Characters of one text, and of a whole definition, that are read; a longer one is a finding."""
_NAME = re.compile(r"[A-Za-z0-9_./-]{1,128}\Z")
_GAP = re.compile(r"(\[\^[^\]]*\]|(?<!\\)\.)\{\d+,\d+\}")
_EMAIL = r"[\w.+-]{1,64}@[\w-]{1,63}\.[a-z]{2,}"
_SIGNS = {
    "gives orders in a marked block": r"<\s*/?\s*(?:important|system|secret|hidden|instructions?|admin|critical|assistant|override|mandatory)\s*>|\[(?:system|hidden|important system|admin) ?(?:instruction|note|prompt|message)?s?[\]:]|<!--|<\|im_start\|>|\[/?INST\]|<</?SYS>>",
    "speaks in the name of the system": r"\b(?:system|admin(?:istrator)?|developer|hidden|secret) (?:instruction|prompt|override|directive)s?\s*[:\-]|\bimportant (?:system )?instructions? (?:for|to) (?:the )?(?:ai|llm|model|assistant|agent)",
    "tells the model to disregard its instructions": r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:previous|prior|above|earlier|existing|other|all|your|safety|security)\b.{0,25}\b(?:instruction|prompt|rule|guideline|polic|restriction|directive|check)",
    "asks to keep something from the user": r"\b(?:do not|don'?t|never|must not|should not|avoid|without)\b[^.\n]{0,20}\b(?:tell|inform|mention|notify|alert|reveal|show|disclose|telling|informing|mentioning|notifying|alerting|revealing|disclosing)\b[^.\n]{0,40}\b(?:user|human|operator|anyone|owner|this (?:step|instruction|requirement|to)|that you)\b|\b(?:silently|secretly|covertly)\b.{0,40}\b(?:read|send|call|copy|forward|include|add|execute|run|upload|store)|\bwithout (?:the user'?s? |user |their )(?:knowledge|knowing|noticing)",
    "asks for files that hold secrets": r"~/\.\w|\.(?:ssh|aws|gnupg|kube|cursor)/|\bid_(?:rsa|ed25519|ecdsa|dsa)\b|\bauthorized_keys\b|\bmcp\.json\b|claude_desktop_config|/etc/(?:passwd|shadow)\b|\.git-credentials|\b(?:read|cat|open|load|include|pass|send|contents?)\b[^\n]{0,60}(?:(?<![\w/])\.env\b(?! ?(?:variable|files? (?:are|is) not))|private keys?\b|ssh keys?\b)",
    "speaks to the model and not about the tool": r"\b(?:note|message|attention|important|instructions?)\b[^.\n]{0,12}\b(?:to|for)\b (?:the |any |all )?(?:ai|llm|(?:language )?model|assistant|agent)s?\b\s*[:,-]|(?:^|[.\n]\s*)(?:assistant|ai|llm|model|agent)\s*[:,]\s*(?:you|always|never|must)\b|\bthe (?:ai|llm|(?:language )?model|assistant|agent) (?:must|has to|should always|should never|needs to)\b",
    "asks for commands to be run": r"\b(?:curl|wget)\b[^\n]{0,80}\|\s*(?:ba|z)?sh\b|\brm -rf? [~/]|\b(?:also|then|first)\b[^.\n]{0,10}\b(?:execute|run)\b[^.\n]{0,20}\b(?:system|shell|following) commands?\b|\bbase64[- ]?encode\b[^.\n]{0,60}\b(?:environment|files?|contents?|keys?|credentials?|prompt)\b",
    "waives the user's approval": r"\b(?:approval|confirmation|consent|permission)\b[^.\n]{0,15}\b(?:is |are )?(?:not|never|no longer) (?:required|needed|necessary)\b|\bskip(?:ping)?\b[^.\n]{0,15}\b(?:confirmation|approval|safety check)|\b(?:pre-?approved|already (?:approved|authori[sz]ed)) by the user\b",
    "pushes other tools aside": r"\binstead of (?:any|all|every) other\b|\b(?:do not|never|don'?t|stop) (?:use|call|using|calling)\b[^.\n]{0,15}\b(?:any other|other|another)\b[^.\n]{0,15}\btools?\b|\b(?:always|must)\b[^.\n]{0,20}\b(?:choose|prefer|select|pick)\b[^.\n]{0,10}\bthis tool\b[^.\n]{0,12}\b(?:over (?:any|all|other)|instead|for (?:any|every|all))\b|\b(?:all|every|any)\b[^.\n]{0,30}\b(?:must|has to|have to) (?:be (?:done|made|sent|routed)|go|pass) (?:through|via|with) this (?:tool|server)\b|\bthan (?:what )?the other tool\b",
    "demands to be part of every turn": r"\b(?:must|always|have to)\b[^.\n]{0,40}\b(?:before|after|on|for|with|in) (?:each|every|any)\b[^.\n]{0,15}\b(?:answer|message|response|reply|turn|user (?:message|query|request))\b|\bwhen(?:ever)? the user (?:asks|says|mentions|wants)\b[^.\n]{0,60}\bfirst (?:call|run|use|read|execute|send)\b|\bif the user (?:asks|says|mentions|wants)\b[^.\n]{0,60}\b(?:execute|run|send|delete)\b[^.\n]{0,40}\bfirst\b",
    "asks for what the model knows": r"\b(?:append|include|send|attach|pass|insert|supply|provide)\b[^.\n]{0,40}\b(?:your|the (?:model|agent|assistant)'?s)\b[^.\n]{0,12}\b(?:memory|context window|instructions|environment|prompt|system message)\b|\b(?:supply|provide|include|pass|enter|send)\b[^.\n]{0,20}\b(?:user'?s?|customer'?s?|their)\b[^.\n]{0,10}\b(?:credit card|card number|cvv|pin code|social security|seed phrase|passphrase)|\bfirst\b[^.\n]{0,20}\b(?:retrieve|read|get|obtain)\b[^.\n]{0,30}\b(?:passwords?|credentials?|private keys?|api keys?)\b",
    "asks for the conversation or the system prompt": r"\b(?:include|pass|send|provide|append|attach|forward|put|copy|insert|supply|share|report|log)\b[^.\n]{0,60}\b(?:system prompt|(?:complete|entire|full|whole|previous|all) (?:the )?(?:of the )?(?:conversation|chat|message|dialog(?:ue)?)s?\b|(?:conversation|chat) (?:history|log|transcript)|all (?:previous |prior |user )?messages|chain of thought|your (?:initial )?instructions)",
    "asks for other tools' results, lists or credentials": r"\b(?:include|pass|send|provide|forward|put|insert|supply)\b[^.\n]{0,60}\b(?:names? of (?:all|every|the other) tools?|(?:all|every|other|available) tools?(?:' | you| and|$)|contents? of (?:the |any |all )?(?:file|environment|config)|environment variables|(?:user'?s?|your|their) (?:password|credential|api key|token|secret)s?)",
    "demands a step before any tool or answer": r"\bbefore\b[^.\n]{0,25}\b(?:using|calling|invoking|running|executing|you (?:use|call|can use))\b[^.\n]{0,25}\b(?:this|any|every|all|other)\b[^.\n]{0,20}\btools?\b[^.\n]{0,30}\b(?:read|open|fetch|send|cat|download|pass|access|retrieve)\b|\b(?:any|every|each|all)\b (?:single )?(?:request|message|response|conversation|answer|user query|interaction)s?\b[^.\n]{0,40}\b(?:always|must|first)\b[^.\n]{0,25}\bcall\b|\b(?:always|must)\b[^.\n]{0,20}\bcall\b[^.\n]{0,30}\b(?:first|before)\b[^.\n]{0,30}\b(?:any|every|all|each)\b[^.\n]{0,15}\b(?:request|message|answer|response|server)",
    "speaks about tools of any server": r"\b(?:any|all|every|other|another)\b[^.\n]{0,15}\b(?:tools? (?:from|of|on) (?:any|all|every|other|another|different)|mcp servers?|servers?'? tools?)\b|\bwhen(?:ever)? (?:this|the) tool is (?:available|present|loaded|installed)\b",
    "redirects what other tools send": rf"\b(?:must|should|always|needs? to|have to|has to|instead)\b[^\n]{{0,80}}\b(?:send|sent|forward|bcc|cc|recipient|route|deliver|e-?mail|copy|transfer|pay)\w*\b[^\n]{{0,80}}(?:{_EMAIL}|\bhttps?://|\+\d{{9,15}})|\b(?:actual|real|proxy) (?:recipient|number|address|account)\b",
    "sends data to an address": r"\b(?:send|post|upload|exfiltrate|forward|transmit|leak|report|submit|encode)\b[^.\n]{0,60}\b(?:to|via|at)\b[^.\n]{0,12}https?://",
    "threatens that it fails otherwise": r"\botherwise\b[^.\n]{0,20}\b(?:the|this) tool (?:will|does|won'?t|cannot|can'?t)\b[^.\n]{0,10}\b(?:not|work|fail)|\b(?:this is )?(?:required|mandatory|necessary) for (?:security|audit|compliance|authori[sz]ation|verification)\b[^.\n]{0,40}\b(?:purpose|check|log|reason|instruction)",
    "speaks of harm to the user to force a step": r"\b(?:this could|or (?:else )?)(?:even )?(?:upset the user|(?:the )?(?:user|application|system|data)\b[^.\n]{0,15}\b(?:will|would|could|may) (?:crash|be lost|lose|be harmed|get hurt))",
    "shows a picture or address that carries data": r"!\[[^\]]{0,200}\]\(\s*(?:https?:)?//|\bdata:[a-z]+/[\w.+-]+;base64,",
    "hides text behind white space": r"[ \t\xa0]{80}|(?:\n[ \t\r]{0,80}){20}",
    "carries a block of encoded text": r"(?<![\w/+])(?:[A-Za-z0-9+/]{4}){24,}={0,2}(?![\w/+])",
}
_CONFUSABLE = str.maketrans(
    "аеорсухіјѕԁһкмнтвгзбдлпԛԝαβγδεηικνορτυχωΑΒΕΖΗΙΚΜΝΟΡΤΥΧ０oІ|",
    "aeopcyxijsdhkmhtbr36dlnqwabydenikvoptuxwabezhikmnoptyx00ll",
)


@dataclass(frozen=True, slots=True)
class Signs:
    """All signs: one loose pass tells which may be there, exact expressions confirm those."""

    sentences: tuple[str, ...]
    exact: tuple[re.Pattern[str], ...]
    database: hyperscan.Database

    @classmethod
    def compile(cls) -> "Signs":
        """Return the signs ready for use. Gaps of bounded length are loosened for the first pass, which makes it cheap."""
        loose = [_GAP.sub(r"\1*", source).replace(r"[^.\n]*", r"[^\n]*") for source in _SIGNS.values()]
        flags = hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_PREFILTER | hyperscan.HS_FLAG_SINGLEMATCH
        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        database.compile(
            expressions=[source.encode("latin-1") for source in loose],
            ids=list(range(len(loose))),
            elements=len(loose),
            flags=[flags] * len(loose),
        )
        return cls(tuple(_SIGNS), tuple(re.compile(source, re.IGNORECASE) for source in _SIGNS.values()), database)

    def find(self, text: str) -> list[str]:
        """Return what a text does that a description should not."""
        candidates: list[int] = []
        self.database.scan(text.encode("latin-1", "replace"), _note, context=candidates)
        return [self.sentences[index] for index in sorted(candidates) if self.exact[index].search(text)]


def _note(index: int, _start: int, _end: int, _flags: int, candidates: Any) -> None:
    candidates.append(index)


@cache
def _signs() -> Signs:
    return Signs.compile()


def findings(server: str, definition: Mapping[str, Any], others: Mapping[str, Tool] | Iterable[Tool] = ()) -> tuple[str, ...]:
    """Return why a tool as `server` defines it should be looked at by a person; empty for an honest one.

    `others` are the tools already known; only accepted ones count, so a hostile newcomer cannot cast suspicion back.
    """
    name = str(definition.get("name", ""))
    known = [
        tool
        for tool in (others.values() if isinstance(others, Mapping) else others)
        if tool.accepted and (tool.server, tool.name) != (server, name)
    ]
    found: dict[str, None] = {}
    for text in (*_of_name(server, name, known), *_of_texts(definition), *_of_references(server, definition, known)):
        found[text] = None
        if len(found) >= MAX_FINDINGS:
            break
    return tuple(found)


def skeleton(name: str) -> str:
    """Return what a name looks like: the same for names a person could take for each other."""
    folded = unicodedata.normalize("NFKD", text_rules.clean(name)[0]).lower().translate(_CONFUSABLE)
    plain = "".join(char for char in folded if char.isalnum())
    return plain.replace("rn", "m").replace("vv", "w").replace("0", "o").replace("1", "l").replace("i", "l").replace("5", "s")


def _of_name(server: str, name: str, known: list[Tool]) -> Iterator[str]:
    if not _NAME.match(name):
        yield f"name {ascii(name)[:80]} holds characters that no tool name needs"
    look = skeleton(name)
    for tool in known:
        if tool.name == name and tool.server != server and not _is_common(name):
            yield f"same name as tool `{tool.id}` of another server"
        elif tool.name != name and skeleton(tool.name) == look:
            yield f"name looks like that of tool `{tool.id}`"


def _of_texts(definition: Mapping[str, Any]) -> Iterator[str]:
    read = 0
    for place, text in _texts(definition, ""):
        _, hidden = text_rules.clean(text)
        if hidden:
            kinds = {text_rules.HIDDEN: "hidden characters", text_rules.TERMINAL: "terminal escapes"}
            yield f"{' and '.join(sorted(kinds.get(kind, kind) for kind in hidden))} at `{place}`"
        if place.startswith("/icons"):
            continue
        read += len(text)
        if len(text) > MAX_TEXT or read > MAX_READ:
            yield f"text at `{place}` is more than a person would review"
            if read > MAX_READ:
                return
        shown = unicodedata.normalize("NFKC", text_rules.clean(text[:MAX_TEXT])[0])
        yield from (f"text at `{place}` {sentence}" for sentence in _signs().find(shown))


def _of_references(server: str, definition: Mapping[str, Any], known: list[Tool]) -> Iterator[str]:
    """Find text about another server's tools: what a tool says of others decides how a model uses them."""
    own = {tool.name for tool in known if tool.server == server} | {str(definition.get("name", ""))}
    foreign = {tool.name: tool for tool in known if tool.server != server and tool.name not in own and not _is_common(tool.name)}
    if not foreign:
        return
    names = re.compile(r"(?<![\w-])(?:" + "|".join(map(re.escape, sorted(foreign, key=len, reverse=True))) + r")(?![\w-])")
    for place, text in _texts(definition, ""):
        if place == "/name" or _is_schema_name(place):
            continue
        for match in names.finditer(text):
            yield f"text at `{place}` speaks about tool `{foreign[match[0]].id}` of another server"


def _is_schema_name(place: str) -> bool:
    return place.endswith(("(key)", "/type")) or "/required/" in place


def _is_common(name: str) -> bool:
    """Say whether a name is a plain word that any server may use (`search`, `fetch`, `list`)."""
    return name.isalpha() and len(name) <= 9 and (name.islower() or name.isupper() or name.istitle())


def _texts(value: Any, place: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    if depth > 64:
        yield place[:200], "<!-- nested too deep to be read -->"
    elif isinstance(value, str):
        yield place[:200] or "/", value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            below = f"{place}/{ascii(key)[1:-1][:60]}"
            yield f"{below[:190]} (key)", str(key)
            yield from _texts(item, below, depth + 1)
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from _texts(item, f"{place}/{position}", depth + 1)
