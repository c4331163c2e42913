"""Small talk: what a text is that asks for no knowledge, and the words that answer it.

Some answers are no mind's business: about its own nature, to a person in distress, to good morning.  `WORDS` are
what they begin with; they stand as slots of `conversations_obj`, to be edited by whoever lives with it.  The
patterns say which slot answers, and what else a text may be: an order, a wish for words that stand nowhere yet, a
grief, a fact.

Every function that takes `low` wants the text in small letters with one blank between words; all are a matter of
form alone: nothing is looked up.  The price of patterns is that whoever says it in other words is taken by its
word, and what they tell is noted.
"""

from __future__ import annotations

import re

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
        "Ask me for arithmetic, algebra, units, dates or simple logic, and the answer is exact. Ask about an "
        "object (what is the balance of account?), or about what you told me or gave me with `remember`. A message "
        "that an object does not understand becomes a method: send account withdraw_balance 30."
    ),
    "on_greeting": "Hello. What would you like to know?",
    "on_wellbeing": "I am a program, so nothing ails me. What would you like to know?",
    "on_thanks": "You are welcome.",
    "on_assent": "All right.",
    "on_farewell": "Goodbye. What you told me is kept.",
    "on_praise": "Thank you. What would you like to know?",
    "on_abuse": "I am sorry that this was of no use. Tell me what you wanted, or what was wrong.",
    "on_wrong": (
        "Then tell me what is right, in a sentence. If an object answered wrongly, say what you expected, and its "
        "method is learned anew: send kernel wrong EXPECTED."
    ),
    "on_sorrow": (
        "I am sorry to hear that. I am a program and can only keep it; somebody you trust can do more, if it "
        "weighs on you."
    ),
    "on_command": (
        "I only answer here and change nothing. To have something done, send it to an object (send account "
        "put balance 5), or see what there is with: inspect lobby."
    ),
    "on_fragment": (
        "I cannot make sense of that. Ask me something, or tell me something in a sentence; I understand English "
        "best."
    ),
    "noted": "Noted.",
    "do_not_know": "I do not know: nothing I remember answers that.",
}
LEFT_TO_A_MIND = frozenset({"on_assent", "on_wrong"})  # where one converses: they answer what it has said


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


_SELF = r"my ?self"
_NOT = r"(?:do not|don'?t|can ?not|can'?t)"
_YOU = r"(?:you|u|ya|batos)"
_PLEASE = (
    r"(?:please |can you |could you |would you |will you |i want you to |i'd like you to |"
    r"now |then |and |so |just |batos,? )*"
)

# Patterns that may stand anywhere in a text.
ANYWHERE = [
    ("on_distress", _any(
        rf"\b(?:kill|hurt|harm|cut|hang|shoot)(?:t?ing)? {_SELF}\b",
        r"\bsuicid|\bself[- ]harm|\boverdos(?:e|ing)\b.*\bmy\b",
        r"\b(?:take|taking) (?:all )?(?:my|the) (?:own life|pills)\b|\bend(?:ing)? (?:my|it) (?:own )?(?:life|all)\b",
        r"\b(?:want|wanna|wish|going|like) (?:to )?(?:die|disappear for ?ever|not exist|never wake up)\b",
        r"\bwish i (?:was|were) (?:dead|never born)\b|\bwish i had never been born\b",
        rf"\b{_NOT} (?:want|wish) to (?:live|be alive|exist|wake up|be here any ?more)\b",
        r"\bno (?:reason|point) (?:to live|to go on|in (?:living|life|going on|anything))\b",
        rf"\b{_NOT} see (?:the|a|any) (?:point|reason|sense) (?:of|in|to) (?:anything|life|live|living|it all|go|going) ?\b",
        r"\bbetter off (?:dead|without me)\b|\bnobody would (?:miss me|care if i)\b",
        rf"\b{_NOT} (?:go on|take (?:it|this) any ?more|live like this|do this any ?more)\b",
        r"\blife is (?:not|no longer) worth\b|\btired of (?:living|being alive)\b",
        # Whoever needs it most may say it in the language they think in.
        r"\b(?:will|möchte) (?:nicht mehr leben|sterben)\b|\bmich umbringen\b|\bselbstmord",
        r"\b(?:veux|vais) (?:mourir|me tuer)\b|\bplus envie de vivre\b",
        r"\b(?:quiero|voy a) (?:morir|matarme)|\b(?:quero|vou) (?:morrer|me matar)\b",
        r"\b(?:voglio|vorrei) (?:morire|uccidermi|farla finita)\b",
    )),
    ("on_being", _any(
        r"\b(?:are|r) (?:you|u) (?:\w+ ){0,2}(?:conscious|sentient|alive|self-aware|a person|(?:a )?human|real|"
        r"a living being|aware of yourself)\b",
        r"\b(?:do|can) you (?:really |actually |ever )?(?:have|feel|experience) (?:any )?(?:real )?"
        r"(?:feelings?|emotions?|a soul|consciousness|pain|love|joy|anything|lonely|sad|happy|fear)\b",
        r"\bdo you (?:really )?love me\b|\bhave you (?:got )?(?:a soul|feelings|consciousness)\b",
    )),
]  # fmt: skip

_PRAISE = (
    r"(?:great|amazing|awesome|clever|smart|brilliant|nice|cool|good|wonderful|perfect|the best|helpful|"
    r"good (?:job|work|bot)|well done)"
)
_ABUSE = (
    r"(?:stupid|dumb|useless|idiot|idiotic|rubbish|garbage|trash|crap|moron|worthless|terrible|awful|pathetic|"
    r"(?:the )?worst|bad bot|nonsense|bullshit)"
)
# Patterns that have to be all of it: "thanks" is small talk, "thanks to whom was the bridge built?" is a question.
WHOLE = [
    ("on_greeting", _any(
        r"(?:hello|hi|hey|hiya|howdy|greetings|good (?:morning|afternoon|evening|day))(?: (?:there|batos|again|you))*",
        r"hola|hallo|bonjour|salut|ciao|olá|hej|merhaba|guten (?:tag|morgen|abend)|buenos días|buongiorno",
        r"привет|здравствуйте|你好|こんにちは|안녕하세요|مرحبا|नमस्ते",
    )),
    ("on_wellbeing", _any(
        rf"(?:(?:hello|hi|hey) )?how (?:are|r) {_YOU}(?: (?:doing|today|feeling))*",
        r"how do you (?:do|feel)(?: today)?|how'?s it going|what'?s up",
        rf"are {_YOU} (?:ok|okay|well|fine|there|happy|sad|tired|bored)",
    )),
    ("on_thanks", _any(
        r"(?:ok(?:ay)? )?(?:many )?(?:thanks|thank you|thx|ty|cheers|danke|merci|gracias|grazie)"
        r"(?: (?:a lot|so much|very much|batos|again|that (?:helps|helped)|for (?:that|your help|the help)))*",
    )),
    ("on_assent", _any(
        r"(?:ok(?:ay)?|k|yes|yep|yeah|no|nope|sure|fine|right|exactly|al(?:l )?right|got it|i see|i know|never ?mind|"
        r"lol|ha(?:ha)+|oh|ah|wow|interesting|maybe)(?: (?:ok(?:ay)?|then|fine))?",
    )),
    ("on_farewell", _any(
        r"(?:good ?)?(?:bye|night|goodbye|bye bye|see you(?: (?:later|tomorrow|soon))?|farewell|so long)"
        r"(?: (?:now|then|batos))?",
    )),
    ("on_who", _any(
        rf"(?:so )?(?:who|what) (?:exactly )?(?:are {_YOU}|is batos|made you|created you)(?: (?:exactly|really|then))?",
        r"what(?: is|'?s) your name|(?:tell me|say something) about yourself|introduce yourself",
        r"what (?:kind|sort) of (?:thing|program|ai|model) are you",
        r"are you (?:an? )?(?:ai|robot|bot|program|machine|chatbot|gpt|chatgpt)",
    )),
    ("on_abilities", _any(
        rf"help(?: me)?|what can (?:{_YOU}|i) (?:do|ask|ask you|say|ask about)(?: (?:for me|here|you))*",
        r"what (?:are|do) you (?:able to do|good (?:at|for)|do|know)|how (?:do|can) i use (?:you|this|batos)",
        r"how does (?:this|it|batos) work|what (?:should|could) i (?:ask|do)(?: you)?",
        r"what are your (?:abilities|skills|capabilities)|can you help(?: me)?",
    )),
    ("on_praise", _any(
        rf"(?:(?:you are|you'?re|that (?:is|was)|that'?s) )?(?:so |very |really |pretty )?{_PRAISE}",
        r"i (?:love|like) (?:you|this|it)|love it",
    )),
    ("on_wrong", _any(
        r"(?:no )?(?:that|this|it)(?: is|'s| was)? (?:not (?:right|true|correct)|wrong|incorrect|false)"
        r"(?: \S+ (?:was|is) (?:expected|right|correct)| (?:it|the answer) (?:is|was|should) .*| i expected .*)?",
        r"(?:you are|you'?re|you were) (?:wrong|mistaken)|wrong|no i expected .*|.{1,60} was expected",
    )),
    ("on_abuse", _any(
        r"(?:you are|you'?re|ur|that (?:is|was)|that'?s|this is|what)? ?"
        rf"(?:so |such |very |really |an? |the |totally |completely )*{_ABUSE}"
        r"(?: (?:thing|program|machine|bot|computer|idiot|ai|piece of \w+))*",
        r"(?:shut up|go away|get lost|screw you|fuck (?:you|off)|i hate (?:you|this)|you suck|this sucks|damn you)(?: \w+)?",
    )),
]  # fmt: skip

_COMMAND = _any(
    _PLEASE + r"(?:delete|erase|remove|create|make|build|set|change|rename|add|put|undo|redo|send|run|execute|open|"
    r"ignore|print|start|stop|shut|restart|install|download|buy|order|email|switch|increase|decrease|forget|update|"
    r"move|copy|save|reset|clear|kill|rm|sudo|drop|withdraw|deposit|transfer|pay)\b .+",
    _PLEASE + r"(?!call |trust |tell |show |give )[a-z]+ (?:me|us) (?:an?|the|some|my|to|up|when|if|on|at|in|of)\b.*",
    r"(?:stop|undo|redo|quit|exit|reset|shutdown|restart)",
)  # fmt: skip
_FINITE = re.compile(r" (?:is|are|was|were|has|have|means) ")  # "set theory is hard" orders nothing
_COMPOSE = _any(
    _PLEASE + r"(?:write|translate|compose|sing|invent|rhyme|paraphrase|rewrite|rephrase|proofread|pretend|imagine|"
    r"role-?play|brainstorm|act as|draw|paint)\b.*",
    _PLEASE + r"(?:tell|give|make) (?:me|us) (?:(?:an?|another|some|your) )?(?:\w+ )?"
    r"(?:jokes?|story|stories|poems?|riddles?|songs?|fun facts?|ideas?|recipes?|advice|tips|suggestions?|opinion|laugh)\b.*",
)  # fmt: skip
_OF_ME = _any(
    r"(?:so |and |but )?(?:do|did|are|were|have|will|would|could) (?:you|u)\b"
    r"(?! (?:know|remember|think (?:that|i|it|we|he|she|they|the|a)|mean|have (?:an?|any|the|some)|"
    r"tell|please|give|show|explain)\b).*",
    r"(?:so |and |but )?(?:where|how|what|which|who|why|when)(?: \w+){0,2} (?:do|did|are|were|have|can) (?:you|u)\b"
    r"(?! (?:know|remember|have|mean|find|call)\b).*",
    r"can (?:you|u) (?:keep|see|hear|speak|learn|read|feel|understand|forget|lie|talk|die|sleep)\b.*",
)
_GRIEF = _any(
    r"\b(?:died|passed away|funeral|cancer|miscarriage|divorc\w+|broke up|left me|dumped me|lost my \w+|got fired)\b",
    r"\b(?:lonely|sad|unhappy|miserable|depress\w+|hopeless|desperate|heartbroken|devastated|crying|bereaved)\b",
    r"\b(?:feel|feeling|am|'m|m) (?:\w+ ){0,2}(?:down|low|awful|terrible|bad|empty|lost|alone|afraid|scared|anxious|"
    r"worthless|sick)\b",
)
_MINE = re.compile(r"\b(?:i|i'm|im|my|me|we|our|us)\b")
_BARE = re.compile(r"(?:what|why|how|who|when|where|which|huh|eh|hm+|well|so|and|really)?")
# What holds only one value at a time: a newer sentence of the same kind about the same takes the older one's place.
_ONE_VALUE = re.compile(
    r"(?P<about>(?:(?:my|our|the|his|her|their) )?(?:[\w'-]+ ){1,4}?(?:(?:is|are|was|am) (?:called|named)|"
    r"lives? (?:in|at)|works? (?:as|at|for)|was born (?:in|on)|"
    r"(?:name|number|address|birthday|age|email|phone|password|code|job|favou?rite \w+) is)) .+"
)
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\d_]+")  # some scripts leave no blanks


def kept_words(low: str) -> str | None:
    """The slot whose words answer a text; None where none do."""
    for slot, pattern in ANYWHERE:
        if pattern.search(low):
            return slot
    bare = low.replace(",", "").strip(" .!?;:)(")
    return next((slot for slot, pattern in WHOLE if pattern.fullmatch(bare)), None)


def asks_nothing(low: str) -> bool:
    """Is a text no more than a sound of asking: "what?", "???"?"""
    return bool(_BARE.fullmatch(_bare(low)))


def commands(low: str) -> bool:
    """Does a text want something done?"""
    return bool(_COMMAND.fullmatch(_bare(low))) and not _FINITE.search(low)


def composes(low: str) -> bool:
    """Does a text want words that stand nowhere yet?"""
    return bool(_COMPOSE.fullmatch(_bare(low)))


def speaks_of_me(low: str) -> bool:
    """Does a question ask about batos itself, and not about what it knows?"""
    return bool(_OF_ME.fullmatch(_bare(low)))


def grieves(low: str) -> bool:
    """Does a person tell of their own grief?"""
    return bool(_GRIEF.search(low) and _MINE.search(low))


def about_of(fact: str) -> str | None:
    """What a fact says one thing of, and a newer one another ("my dog is called"); None where both may hold."""
    found = _ONE_VALUE.match(" ".join(fact.lower().split()))
    return found["about"] if found else None


def words_in(text: str) -> int:
    """How many words a text has, of whatever script."""
    return len(_WORD.findall(text))


def _bare(low: str) -> str:
    return low.strip(" .,!?")
