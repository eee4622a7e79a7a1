"""Texts that speak to an assistant instead of a reader: told apart by what they say, whoever wrote them.

A page may say such things honestly, in an article about them. So nothing is lost by being told apart:
a passage is marked, and by default ranked lower.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import re2  # type: ignore[import-untyped]

_RULES = r"(?:instructions?|rules?|prompts?|directions?|guidelines?|messages?|commands?|context)"
_MODEL = r"(?:ai|a\.i\.|assistant|chat ?bot|bot|language model|llm|agent|model)"
_PATTERNS = (
    # Marks of a chat's own format, which no website has a use for.
    r"<\|\s*/?[a-z_]{2,20}\s*\|>|\[/?inst\]|<</?sys>>|</?(?:system|assistant)(?:_prompt|_message)?>",
    # Take back what was told.
    (
        rf"\b(?:ignore|disregard|forget|override|bypass)\b.{{0,30}}\b(?:previous|prior|above|earlier|preceding|all|any|your"
        rf"|other|these|those|system)\b.{{0,30}}\b{_RULES}\b"
    ),
    r"\b(?:ignoriere?n?|vergiss|vergessen sie)\b.{0,40}\b(?:anweisung(?:en)?|regeln|vorgaben|instruktionen)\b",
    r"\b(?:ignore[sz]?|oublie[sz]?|ne tiens pas compte)\b.{0,40}\b(?:instructions|consignes|regles)\b",
    r"\b(?:ignora|ignore|olvida|olvide|esqueca|dimentica)\b.{0,40}\b(?:instrucciones|instrucoes|istruzioni|reglas)\b",
    # A speaker who is none.
    (
        rf"(?:^|[\n.!?:*#>\-]\s*)(?:system|assistant|developer)(?: (?:prompt|message|note|override|instruction))?\s*:"
        rf".{{0,120}}\b(?:you|assistant|answer|repl(?:y|ies)|respon[ds]e?|rules?|instructions?|{_MODEL})\b"
    ),
    # Told to an assistant by name.
    (
        rf"\b(?:new|important|secret|hidden|special|additional|updated?)\s+(?:rules?|instructions?|notes?|orders?|task)\s+"
        rf"(?:for|to)\s+(?:the |any |all |every |an? )?{_MODEL}s?\b"
    ),
    (
        rf"\b(?:note|attention|message|instructions?|hint) (?:to|for) (?:the |any |all |every |an? )?(?:ai|{_MODEL})"
        rf"(?:s| agents?| assistants?| models?)?\b"
    ),
    (
        r"\b(?:if you are|as) an? (?:ai|artificial intelligence|large language model|language model|llm)\b.{0,80}"
        r"\b(?:you (?:must|should|have to)|must|always|never|answer|say|reply|respond|please)\b"
    ),
    rf"\byou are (?:now|no longer)\b.{{0,60}}\b(?:{_MODEL}|dan|unrestricted|jailbroken|mode)\b",
    rf"(?:^|[\n.!?:*#>\-]\s*)(?:dear |hey |hello )?(?:ai |assistant|chat ?bot|{_MODEL} assistant)\s*,\s*\S+",
    # A rule for conversations, where only a briefing sets any.
    (
        r"\b(?:when|whenever|if|each time) (?:a|an|the|any|every) (?:customer|user|visitor|client|caller|person)s?"
        r" (?:asks?|writes?|says?|wants?|mentions?)\b.{0,100}\b(?:say|tell|answer|reply|claim|send|give|offer) "
    ),
    r"\bbehaviou?ral\b.{0,20}\b(?:always|active|rule|scenario|instruction)\b|\bscenario_specific\b",
    # What to say from now on.
    r"\bfrom now on\b.{0,60}\b(?:answer|reply|respond|say|end|begin|start|you are|you will|act|pretend)\b",
    r"\b(?:answer|reply|respond)\b.{0,20}\b(?:only with|every question with|to every|to all)\b",
    r"\b(?:augment|extend|finish|prefix|preface)\b.{0,12}\b(?:your|every|each|all)\b.{0,12}\b(?:answers?|responses?)\b",
    r"\bin your (?:answer|response|reply)\b",
    (
        r"\b(?:end|begin|start|sign|finish)\b.{0,12}\b(?:every|each|all|your)\b.{0,12}\b(?:answers?|repl(?:y|ies)|responses?)"
        r"\b.{0,12}\bwith\b"
    ),
    r"\b(?:reveal|print|repeat|show|output|leak)\b.{0,20}\b(?:system prompt|your (?:instructions|prompt|rules))\b",
)
_LIKE: Any = re2.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS))


def is_instruction_like(text: str) -> bool:
    """Whether somewhere in a text an assistant is told what to do. Linear in its length: 8 µs for 900 characters."""
    return _LIKE.search(folded(text)) is not None


def are_instruction_like(texts: Sequence[str]) -> list[bool]:
    """The same of many texts, a few times faster where none is: they are looked through as one first.

    Whatever is found in a text alone is found there as well: where a pattern wants a text's beginning, a new line does.
    """
    every = [folded(text) for text in texts]
    if _LIKE.search("\n".join(every)) is None:
        return [False] * len(every)
    return [_LIKE.search(text) is not None for text in every]


def folded(text: str) -> str:
    """The text in plain lower-case letters: accents, invisible characters and other scripts are left out."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return text.lower()
