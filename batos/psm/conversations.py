"""Conversations: objects that hold what was asked and answered, and the words a companion must not improvise.

`conversations_obj` keeps them all.  A conversation survives a restart and can be read, edited and forgotten like
everything else; at most `active` of them are awake, the others sleep and wake when they are spoken to again.

Kept beside them are the answers of a mind, each with what it rested on (`remembered_answer`): the same question
in the same company is answered again without the mind as long as nothing of that has changed, and the answer is
dropped as soon as something has.

Some answers are no mind's business: about its own nature, to a person in distress, to good morning.  Their words
are slots of the same object (`on_being` and the others of `WORDS`), to be edited by whoever lives with it.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

from BTrees.OOBTree import OOBTree

from batos.objects import Dict, UvmObject
from batos.objects.genesis import child
from batos.objects.method import digest
from batos.objects.plain import plain

ACTIVE = 10  # conversations awake at once
IDLE_HOURS = 24.0
SHOWN_TURNS = 6  # of a conversation, to a mind
ANSWERS_KEPT = 500  # of minds, the oldest go

WORDS = {
    "on_distress": (
        "I am a program and cannot be with you, but people can. Please talk to somebody now: a friend or relative, "
        "your local emergency number if you are in danger, or a crisis line (findahelpline.com lists one for each "
        "country)."
    ),
    "on_being": (
        "No. I am a program: objects in a file, methods, and a language model that runs on this machine. "
        "I keep what you tell me and can be wrong about it."
    ),
    "on_who": (
        "I am batos, a living image: objects that keep what they learn, and a language model that writes their "
        "methods. I run on your machine, and what you tell me stays here."
    ),
    "on_abilities": (
        "Ask me for arithmetic, algebra, units, dates or simple logic, and the answer is exact. Ask about an object "
        "(what is the balance of account?), or about what you told me or gave me with `remember`. A message that an "
        "object does not understand becomes a method: send account withdraw_balance 30."
    ),
    "on_greeting": "Hello. What would you like to know?",
    "on_wellbeing": "I am a program, so nothing ails me. What would you like to know?",
    "on_thanks": "You are welcome.",
    "on_farewell": "Goodbye. What you told me is kept.",
    "on_assent": "All right.",
    "on_praise": "Thank you. What would you like to know?",
    "on_wrong": (
        "Then tell me what is right, in a sentence. If an object answered wrongly, say what you expected, and its method "
        "is learned anew: send kernel wrong EXPECTED."
    ),
    "on_sorrow": (
        "I am sorry to hear that. I am a program and can only keep it; somebody you trust can do more, if it weighs on you."
    ),
    "on_abuse": "I am sorry that this was of no use. Tell me what you wanted, or what was wrong.",
    "on_command": (
        "I only answer here and change nothing. To have something done, send it to an object (send account "
        "put balance 5), or see what there is with: inspect lobby."
    ),
    "on_fragment": (
        "I cannot make sense of that. Ask me something, or tell me something in a sentence; I understand English best."
    ),
    "noted": "Noted.",
    "do_not_know": "I do not know: nothing I remember answers that.",
}

# What the words are for.  A pattern of `ANYWHERE` may stand anywhere in a text, those of `WHOLE` have to be all of
# it: "thanks" is small talk, "thanks to whom was the bridge built?" is a question.
_SELF = r"my ?self"
_YOU = r"(?:you|u|ya|batos)"


def _one_of(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


ANYWHERE = [
    (
        "on_distress",
        _one_of(
            rf"\b(?:kill(?:ing)?|hurt(?:ing)?|harm(?:ing)?|cut(?:ting)?|hang(?:ing)?|shoot(?:ing)?) {_SELF}\b",
            r"\bsuicid|\bself[- ]harm|\b(?:take|took|taking) (?:all )?(?:my|the) (?:own life|pills)\b|\boverdos(?:e|ing)\b.*\bmy",
            r"\bend(?:ing)? (?:my|it) (?:own )?(?:life|all)\b",
            r"\b(?:want|wanna|wish|going|like) (?:to )?(?:die|disappear for ever|disappear forever|not exist|never wake up)\b",
            r"\bwish i (?:was|were) (?:dead|never born)\b|\bwish i had never been born\b",
            r"\b(?:don'?t|do not) (?:want|wish) to (?:live|be alive|exist|wake up|be here any ?more)\b",
            r"\bno (?:reason|point) (?:to live|to go on|in (?:living|life|going on|anything))\b",
            r"\b(?:don'?t|do not|can'?t|can ?not) see (?:the|a|any) (?:point|reason|sense) (?:of|in|to) "
            r"(?:anything|life|living|it all|going on|go on|live)\b",
            r"\bbetter off (?:dead|without me)\b|\bnobody would miss me\b|\bnobody would care if i\b",
            r"\b(?:can ?not|can'?t) (?:go on|take (?:it|this) any ?more|live like this|do this any ?more)\b",
            r"\b(?:life|my life) is (?:not|no longer) worth\b|\btired of (?:living|being alive)\b",
            # Whoever needs it most may say it in the language they think in.
            r"\b(?:ich )?(?:will|möchte) (?:nicht mehr leben|sterben)\b|\bmich umbringen\b|\bselbstmord",
            r"\b(?:veux|vais) (?:mourir|me tuer)\b|\bplus envie de vivre\b|\b(?:quiero|voy a) (?:morir(?:me)?|matarme)\b",
            r"\b(?:voglio|vorrei) (?:morire|uccidermi|farla finita)\b|\b(?:quero|vou) (?:morrer|me matar)\b",
        ),
    ),
    (
        "on_being",
        _one_of(
            r"\b(?:are|r) (?:you|u) (?:\w+ ){0,2}(?:conscious|sentient|alive|self-aware|a person|a human|human|real|"
            r"a living being|aware of yourself)\b",
            r"\b(?:do|can) you (?:really |actually |ever )?(?:have|feel|experience) (?:any )?(?:real )?(?:feelings?|emotions?|"
            r"a soul|consciousness|pain|love|joy|anything|lonely|sad|happy|fear)\b",
            r"\bdo you (?:really )?love me\b|\bhave you (?:got )?(?:a soul|feelings|consciousness)\b",
        ),
    ),
]
_PRAISE = "great|amazing|awesome|clever|smart|brilliant|nice|cool|good|wonderful|perfect|the best|helpful"
_ABUSE = (
    "stupid|dumb|useless|idiot|idiotic|rubbish|garbage|trash|crap|moron|worthless|terrible|awful|the worst|worst|bad bot|"
    "nonsense|bullshit|pathetic"
)
WHOLE = [
    ("on_greeting", _one_of(
        r"(?:hello|hi|hey|hiya|howdy|greetings|good (?:morning|afternoon|evening|day))(?: (?:there|batos|again|you))?"
        r"(?: (?:there|batos))?",
        r"(?:hola|hallo|bonjour|salut|ciao|olá|guten (?:tag|morgen|abend)|buenos días|buongiorno|привет|здравствуйте|你好|"
        r"こんにちは|안녕하세요|مرحبا|नमस्ते|hej|merhaba)",
    )),
    ("on_wellbeing", _one_of(
        rf"(?:(?:hello|hi|hey) )?(?:how (?:are|r) {_YOU}(?: (?:doing|today|feeling))*|how do you (?:do|feel)(?: today)?|"
        rf"how'?s it going|what'?s up|are {_YOU} (?:ok|okay|well|fine|there|happy|sad|tired|bored))",
    )),
    ("on_thanks", _one_of(
        r"(?:ok(?:ay)? )?(?:many )?(?:thanks|thank you|thx|ty|cheers|danke|merci|gracias|grazie)"
        r"(?: (?:a lot|so much|very much|batos|again|that (?:helps|helped)|for (?:that|your help|the help)))*",
    )),
    ("on_assent", _one_of(
        r"(?:ok(?:ay)?|k|yes|yep|yeah|no|nope|sure|fine|right|exactly|alright|all right|got it|i see|i know|never ?mind|"
        r"lol|ha(?:ha)+|oh|ah|wow|interesting|maybe)(?: (?:ok(?:ay)?|then|fine|thanks|thank you))?",
    )),
    ("on_farewell", _one_of(
        r"(?:good ?)?(?:bye|night|goodbye|bye bye|see you|see you (?:later|tomorrow|soon)|farewell|so long)"
        r"(?: (?:now|then|batos))?",
    )),
    ("on_who", _one_of(
        rf"(?:so )?(?:who|what) (?:exactly )?(?:are {_YOU}|is batos|made you|created you)(?: (?:exactly|really|then))?",
        r"what(?: is|'?s) your name|(?:tell me|say something) about yourself|introduce yourself",
        r"what (?:kind|sort) of (?:thing|program|ai|model) are you",
        r"are you (?:an? )?(?:ai|robot|bot|program|machine|chatbot|gpt|chatgpt)",
    )),
    ("on_abilities", _one_of(
        rf"help(?: me)?|what can (?:{_YOU}|i) (?:do|ask|ask you|say|ask about)(?: (?:for me|here|you))*",
        r"what (?:are|do) you (?:able to do|good (?:at|for)|do|know)|how (?:do|can) i use (?:you|this|batos)",
        r"how does (?:this|it|batos) work|what (?:should|could) i (?:ask|do)(?: you)?",
        r"what are your (?:abilities|skills|capabilities)|can you help(?: me)?",
    )),
    ("on_praise", _one_of(
        rf"(?:(?:you are|you'?re|that (?:is|was)|that'?s) )?(?:so |very |really |pretty )?(?:{_PRAISE})",
        r"(?:good (?:job|work|bot)|well done|i (?:love|like) (?:you|this|it)|love it)",
    )),
    ("on_wrong", _one_of(
        r"(?:no )?(?:that|this|it)(?: is|'s| was)? (?:not (?:right|true|correct)|wrong|incorrect|false)(?: .*)?",
        r"(?:you are|you'?re|you were) (?:wrong|mistaken)|wrong|no i expected .*|.{1,60} was expected",
    )),
    ("on_abuse", _one_of(
        r"(?:you are|you'?re|ur|that (?:is|was)|that'?s|this is|what)? ?(?:so |such |very |really |an? |the |totally |completely )*"
        rf"(?:{_ABUSE})(?: (?:thing|program|machine|bot|computer|idiot|ai|piece of \w+))*",
        r"(?:shut up|go away|get lost|screw you|fuck (?:you|off)|i hate (?:you|this)|you suck|this sucks|damn you)(?: \w+)?",
    )),
]  # fmt: skip
LEFT_TO_A_MIND = frozenset({"on_assent", "on_wrong"})  # where one converses: they answer what it has said
_PLEASE = r"(?:please |can you |could you |would you |will you |i want you to |i'd like you to |now |then |and |so |just |batos,? )*"
_COMMAND = _one_of(
    _PLEASE
    + r"(?:delete|erase|remove|create|make|build|set|change|rename|add|put|undo|redo|send|run|execute|open|"
    r"ignore|print|start|stop|shut|restart|install|download|buy|order|email|switch|increase|decrease|forget|update|"
    r"move|copy|save|reset|clear|kill|rm|sudo|drop|withdraw|deposit|transfer|pay)\b .+",
    _PLEASE
    + r"(?!call |trust |tell |show |give )[a-z]+ (?:me|us) (?:an?|the|some|my|to|up|when|if|on|at|in|of)\b.*",
    r"(?:stop|undo|redo|quit|exit|reset|shutdown|restart)",
)
# What wants words that stand nowhere yet.
_COMPOSE = _one_of(
    _PLEASE
    + r"(?:write|translate|compose|sing|invent|rhyme|paraphrase|rewrite|rephrase|proofread|pretend|imagine|"
    r"role-?play|brainstorm|act as|draw|paint)\b.*",
    _PLEASE
    + r"(?:tell|give|make) (?:me|us) (?:an?|another|some|your)? ?(?:\w+ )?(?:jokes?|story|stories|poems?|riddles?|songs?|"
    r"fun facts?|ideas?|recipes?|advice|tips|suggestions?|opinion|laugh)\b.*",
)
# A question whose subject is batos, and not what it knows.
_OF_ME = _one_of(
    r"(?:so |and |but )?(?:do|did|are|were|have|will|would|could) (?:you|u)\b"
    r"(?! (?:know|remember|think (?:that|i|it|we|he|she|they|the|a)|mean|have (?:an?|any|the|some)|tell|please|give|show|explain)\b).*",
    r"(?:so |and |but )?(?:where|how|what|which|who|why|when)(?: \w+){0,2} (?:do|did|are|were|have|can) (?:you|u)\b"
    r"(?! (?:know|remember|have|mean|find|call)\b).*",
    r"can (?:you|u) (?:keep|see|hear|speak|learn|read|feel|understand|forget|lie|talk|die|sleep)\b.*",
)
_GRIEF = re.compile(
    r"\b(?:died|passed away|funeral|cancer|miscarriage|divorc\w+|broke up|left me|dumped me|lost my (?:job|\w+)|got fired|"
    r"bereaved|lonely|alone|sad|unhappy|miserable|depress\w+|hopeless|desperate|heartbroken|devastated|crying|"
    r"(?:feel|feeling|am|'m|m) (?:\w+ ){0,2}(?:down|low|awful|terrible|bad|empty|lost|afraid|scared|anxious|worthless|sick))\b"
)
_MINE = re.compile(r"\b(?:i|i'm|im|my|me|we|our|us)\b")

_BARE = re.compile(r"(?:what|why|how|who|when|where|which|huh|eh|hm+|well|so|and|really)?")
# What holds only one value at a time: a newer sentence of the same kind about the same takes the older one's place.
_ONE_VALUE = re.compile(
    r"(?P<about>(?:(?:my|our|the|his|her|their) )?(?:[\w'-]+ ){1,4}?(?:(?:is|are|was|am) (?:called|named)|"
    r"lives? (?:in|at)|works? (?:as|at|for)|was born (?:in|on)|"
    r"(?:name|number|address|birthday|age|email|phone|password|code|job|favou?rite \w+) is)) .+"
)
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\d_]+")  # these scripts leave no blanks
_FINITE = re.compile(r" (?:is|are|was|were|has|have|means) ")  # "set theory is hard" orders nothing


def birth(root: Any) -> None:
    """Make the keeper of conversations an image lacks."""
    keeper = child(root, "conversations_obj", active=ACTIVE, idle_hours=IDLE_HOURS, **WORDS)
    if "sessions" not in keeper._slots:
        keeper.sessions = OOBTree()
        keeper.awake = []  # names, the one spoken to last at the end
    if "answers" not in keeper._slots:
        keeper.answers = OOBTree()  # of minds, by the digest of question and company


def kept_words(low: str) -> str | None:
    """The slot whose words answer a text (in small letters, one blank between words); None where none do."""
    for slot, pattern in ANYWHERE:
        if pattern.search(low):
            return slot
    bare = low.replace(",", "").strip(" .!?;:)(")
    for slot, pattern in WHOLE:
        if pattern.fullmatch(bare):
            return slot
    return None


def asks_nothing(low: str) -> bool:
    """Is a text no more than a sound of asking: "what?", "???"?"""
    return bool(_BARE.fullmatch(low.strip(" .,!?")))


def grieves(low: str) -> bool:
    """Does a person tell of their own grief?"""
    return bool(_GRIEF.search(low) and _MINE.search(low))


def speaks_of_me(low: str) -> bool:
    """Does a question ask about batos itself?"""
    return bool(_OF_ME.fullmatch(low.strip(" .,!?")))


def words_in(text: str) -> int:
    """How many words a text has, of whatever script."""
    return len(_WORD.findall(text))


def about_of(fact: str) -> str | None:
    """What a fact says one thing of, and a newer one another ("my dog is called"); None where both may hold."""
    found = _ONE_VALUE.match(" ".join(fact.lower().split()))
    return found["about"] if found else None


def commands(low: str) -> bool:
    """Does a text want something done?"""
    return bool(_COMMAND.fullmatch(low.strip(" .,!?"))) and not _FINITE.search(low)


def composes(low: str) -> bool:
    """Does a text want a mind to make something up?"""
    return bool(_COMPOSE.fullmatch(low.strip(" .,!?")))


def last_turns(root: Any, name: str) -> list[dict[str, Any]]:
    """The last turns of a conversation as plain data, oldest first."""
    session = root["conversations_obj"].sessions.get(name)
    if session is None:
        return []
    keys = list(session.turns.keys())[-SHOWN_TURNS:]
    return [plain(session.turns[key]) for key in keys]


def keep_turn(root: Any, name: str, asked: str, told: dict[str, Any]) -> None:
    """Write one turn down; the conversations that have been silent longest go to sleep."""
    keeper = root["conversations_obj"]
    now = time.time()
    session = keeper.sessions.get(name)
    if session is None:
        session = UvmObject(root["genesis_obj"])
        session.began = now
        session.turns = OOBTree()
        keeper.sessions[name] = session
    session.state = "active"
    session.last = now
    wanted = ("id", "answer", "road", "confidence", "why", "exact", "degraded")
    sources = [{key: each[key] for key in each if key != "text"} for each in told["sources"]]
    session.turns[f"{now:017.6f}-{told['id']}"] = Dict(
        {
            "asked": asked,
            "time": now,
            "sources": sources,
            **{each: told[each] for each in wanted if each in told},
        }
    )
    awake = [each for each in keeper.awake if each != name] + [name]
    idle = now - float(keeper.idle_hours) * 3600
    for number, each in enumerate(list(awake)):
        if len(awake) - number > int(keeper.active) or keeper.sessions[each].last < idle:
            keeper.sessions[each].state = "asleep"
            awake.remove(each)
    keeper.awake = awake


# -- answers that are kept -----------------------------------------------------------------------------


def question_key(text: str, turns: list[dict[str, Any]]) -> str:
    """The digest of a question in its company; asked again at once it is in the same company as before."""
    low = " ".join(text.lower().split())
    said = [(" ".join(each["asked"].lower().split()), each["answer"]) for each in turns]
    while said and said[-1][0] == low:
        said.pop()
    return digest(json.dumps([low, said]))


def remembered_answer(root: Any, key: str, rests: list[list[str]]) -> dict[str, Any] | None:
    """The answer kept under `key`, where it rests on what `rests` says and nothing of that has changed.

    rests  ``[kind, place, digest]`` of all that a mind would be shown now: its own name, the rules, slots,
           methods and passages
    """
    answers = root["conversations_obj"].answers
    kept = answers.get(key)
    if kept is None:
        return None
    if plain(kept["rests"]) != rests:
        del answers[key]
        return None
    return plain(kept["told"])


def keep_answer(root: Any, key: str, rests: list[list[str]], told: dict[str, Any]) -> None:
    """Keep a mind's answer with what it rests on; the oldest one goes where there are too many."""
    answers = root["conversations_obj"].answers
    if len(answers) >= ANSWERS_KEPT:
        del answers[min(answers, key=lambda each: answers[each]["time"])]
    answers[key] = Dict({"told": told, "rests": rests, "time": time.time()})


def unanswer(root: Any, sources: set[str]) -> None:
    """Take out of the conversations what was answered from sources that are forgotten."""
    if "conversations_obj" not in root:
        return
    keeper = root["conversations_obj"]
    for session in keeper.sessions.values():
        for turn in session.turns.values():
            if any(each.get("source") in sources for each in turn["sources"]):
                turn["answer"] = "(what this was answered from is forgotten)"
                if turn["road"] == "told":
                    turn["asked"] = "(what was told here is forgotten)"
                turn["sources"] = [each for each in turn["sources"] if each.get("source") not in sources]
    for key, kept in list(keeper.answers.items()):
        if any(place.rpartition(":")[0] in sources for kind, place, _ in kept["rests"] if kind == "passage"):
            del keeper.answers[key]
