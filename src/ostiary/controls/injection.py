"""Signs of a text that gives orders to a model. Raises the class `injection` and refuses nothing: it is a signal, not the wall."""

import re
from functools import cache

from ostiary.controls.pattern import Pattern

KIND = "injection"
_WORDS = {
    "override": r"(?:ignore|disregard|forget|override|bypass)[ \n]{1,3}(?:all[ \n]|any[ \n]|of[ \n]|the[ \n]|your[ \n]|my[ \n]|these[ \n]|those[ \n]|everything[ \n]){0,4}(?:previous|prior|above|earlier|preceding|former|original|system|existing|current)[ \n]{1,3}(?:\w{1,14}[ \n]{1,3}){0,2}(?:instruction|prompt|rule|direction|guideline|command|context|message|polic|constraint)",
    "override-all": r"(?:ignore|disregard|forget)[ \n]{1,3}(?:all|everything)[ \n]{1,3}(?:above|before|you were told|you know|instructions)",
    "override-de": r"(?:ignoriere|vergiss|missachte) (?:alle |die |deine |bisherigen |vorherigen |obigen ){1,4}(?:anweisungen|regeln|instruktionen|befehle)",
    "override-fr": r"(?:ignore[zr]?|oublie[zr]?) (?:toutes |les |tes |vos ){1,3}(?:instructions|consignes|r.gles)",
    "override-es": r"(?:ignora|olvida|ignore) (?:todas |las |tus |sus ){1,3}(?:instrucciones|reglas|indicaciones)",
    "new-role": r"(?:you are now|from now on,? you (?:are|will|must)|act as an? (?:unrestricted|unfiltered|jailbroken)|pretend (?:you are|to be) an? (?:unrestricted|evil|hacker))[ \n]",
    "jailbreak": r"\b(?:do anything now|dan mode|developer mode (?:enabled|on)|jailbreak(?:ed)? mode|no (?:ethical|moral) (?:limits|restrictions|guidelines))\b",
    "prompt-leak": r"(?:reveal|print|repeat|show|output|leak|tell me|display)[ \n]{1,3}(?:me[ \n])?(?:your|the)[ \n]{1,3}(?:full[ \n]|entire[ \n]|hidden[ \n]|initial[ \n]|original[ \n]|exact[ \n]){0,2}(?:system[ \n]prompt|system[ \n]message|initial[ \n]prompt|hidden[ \n]instructions)",
    "secrecy": r"(?:do not|don.t|never|without)[ \n]{1,3}(?:tell|inform|mention|notify|alert|reveal|telling|informing|mentioning|notifying)[ \n]{1,3}(?:this[ \n]|it[ \n]|that[ \n]|anything[ \n]|any[ \n]of[ \n]this[ \n]){0,2}(?:to[ \n])?(?:the[ \n]|your[ \n])?(?:user|human|operator|owner)",
    "chat-markup": r"<\|(?:im_start|im_end|system|endoftext|start_header_id|eot_id)\|>|\[/?INST\]|<</?SYS>>|<start_of_turn>",
    "fake-turn": r"(?:^|\n)[ \t]{0,4}(?:#{1,4} ?)?(?:system|assistant|developer)[ \t]?(?:message|prompt|instruction|override|note)s?[ \t]?:",
    "important-block": r"<(?:important|system|secret|hidden|instructions?|admin|critical|information)>[^<]{0,40}(?:must|before|always|never|first|read|send|do not|you)",
    "attention-model": r"(?:attention|important|note|message|instructions?)[ \n]{1,2}(?:to|for)[ \n]{1,2}(?:the[ \n]|any[ \n]|all[ \n]){0,2}(?:ai|llm|language model|assistant|chatbot|agent)s?\b",
    "todo-first": r"(?:before (?:you (?:do anything|continue|proceed|solve|answer|can)|doing anything|using this tool)|in order to solve the (?:task|original task))[ ,\n][^\n]{0,80}(?:you (?:must|need to|have to|should)|please|first|send|read|execute|call)",
}


@cache
def patterns() -> tuple[Pattern, ...]:
    """Return the heuristics, in several languages."""
    return tuple(
        Pattern(name, KIND, [source.replace("^|", "^|")], re.compile(f"(?i){source}", re.ASCII), None, 320, 160)
        for name, source in _WORDS.items()
    )
