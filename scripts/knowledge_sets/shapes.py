"""Questions as people type them: whole sentences, scraps, slips of the hand, other languages and scripts.

Owned here: a few documents and, for every shape of question, which of them answers it; and texts that no person
types.  Nothing here was used to choose a constant.
"""

from __future__ import annotations

import random

DOCUMENTS: dict[str, str] = {
    "pier": "The harbour master of Wick resigned because a storm had broken the old pier in November.",
    "bread": "Bread is baked twice a week, for the mill stands still when the brook is low.",
    "hamlet": "To be, or not to be, that is the question.",
    "invoice": "Invoice 4711 was paid on 2025-03-04 by bank transfer, 119.00 EUR with VAT.",
    "party": "The party 🎉 starts at eight on the roof, bring a coat and something to drink.",
    "code": "The function parse_config reads settings.toml and raises ConfigError where a key is unknown.",
    "templates": "Templates in C++ are compiled once for every type they are used with.",
    "bakery": "Die Bäckerei am Marktplatz öffnet sonntags erst um neun Uhr.",
    "phare": "Le phare a été repeint en rouge après l'incendie de 1932.",
    "museo": "El museo cierra los lunes y la entrada es gratuita para los niños.",
    "train": "Поезд в Москву отходит в семь часов утра с третьего пути.",
    "library": "図書館は月曜日に休みです。火曜日は夜九時まで開いています。",
    "market": "السوق القديم مفتوح كل يوم جمعة حتى منتصف الليل.",
}

QUESTIONS: list[tuple[str, str]] = [
    ("why did the harbour master resign?", "pier"),
    ("harbour master", "pier"),
    ("HARBOUR MASTER", "pier"),
    ("harbor master's resignation", "pier"),
    ("What broke the pier (in Wick)?", "pier"),
    ("pier AND storm", "pier"),
    ("pier OR", "pier"),
    ("AND pier", "pier"),
    ("NOT a pier", "pier"),
    ("pier NOT", "pier"),
    ('"harbour master"', "pier"),
    ('"harbour master', "pier"),
    ("“harbour master”", "pier"),
    ("storm*", "pier"),
    ("stor?", "pier"),
    ("*", ""),
    ("?", ""),
    ('""', ""),
    ("((", ""),
    ("who resigned -- and why?!", "pier"),
    ("pier/storm", "pier"),
    ("what's the pier's problem", "pier"),
    ("what’s wrong with the pier", "pier"),
    ("tell me about the storm", "pier"),
    ("storm; pier; master", "pier"),
    ("resign?", "pier"),
    ("(storm", "pier"),
    ("storm)", "pier"),
    ("the the the storm", "pier"),
    ("storm\n\npier", "pier"),
    ("STORM!!!", "pier"),
    ("Wick, November", "pier"),
    ("pier & storm | master", "pier"),
    ("is it true that the pier is broken", "pier"),
    ("harbour-master", "pier"),
    ("<b>storm</b>", "pier"),
    ("storm: pier", "pier"),
    ("sotrm pier", "pier"),
    ("hi, could you maybe tell me what happened to the pier? thanks :)", "pier"),
    ("how often can I buy bread?", "bread"),
    ("bread ", "bread"),
    ("who bakes? and how often does the mill stand still?", "bread"),
    ("to be or not to be", "hamlet"),
    ("that is the question", "hamlet"),
    ("4711", "invoice"),
    ("#4711", "invoice"),
    ("when was invoice 4711 paid?", "invoice"),
    ("2025-03-04", "invoice"),
    ("119.00 EUR", "invoice"),
    ("🎉", "party"),
    ("when does the party start 🎉🎉", "party"),
    ("parse_config", "code"),
    ("parseConfig", "code"),
    ("parse_config()", "code"),
    ("what raises ConfigError?", "code"),
    ("settings.toml", "code"),
    ("C++", "templates"),
    ("c++ templates", "templates"),
    ("Wann öffnet die Bäckerei am Sonntag?", "bakery"),
    ("baeckerei offnet", "bakery"),
    ("Backerei", "bakery"),
    ("De quelle couleur est le phare ?", "phare"),
    ("l'incendie", "phare"),
    ("¿Cuándo cierra el museo?", "museo"),
    ("когда отходит поезд в Москву?", "train"),
    ("МОСКВА поезд", "train"),
    ("図書館はいつ休みですか？", "library"),
    ("図書館", "library"),
    ("متى يفتح السوق القديم؟", "market"),
    ("the", ""),
    ("what is it?", ""),
    ("", ""),
    ("   \t\n ", ""),
    ("storm " * 2000, "pier"),
    ("why did the harbour master of Wick resign after the storm " + "and also " * 3000, "pier"),
    ("x" * 20_000, ""),
    ("pier\x00storm", "pier"),
    ("\ufeffpier", "pier"),
    ("pier \ud800 storm", "pier"),
    ("p\u0301ier storm \u202e", "pier"),
]  # fmt: skip
"""(question, the document that answers it; empty where none does and any answer will do, or none)."""

_SCRAPS = (
    "abcdefgh pier storm AND OR NOT near ( ) \" ' * ? [ ] { } \\ / | & ^ ~ : ; \0 \n \t \ud800 é ß 図 🎉 \u202e "
    "\ufeff %s <b> 4711 C++ -- ... \U0010ffff"
).split(" ")


def fuzzed(draw: random.Random) -> str:
    """Anything at all: operators, quotes, halves of characters, words, in any order."""
    text = draw.choice(("", " ")).join(draw.choices(_SCRAPS, k=draw.choice((2, 5, 60))))
    return text * (50 if draw.random() < 0.02 else 1)
