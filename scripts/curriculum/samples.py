"""From operations to examples: made-up objects, a message each, and what every voice should answer."""

from __future__ import annotations

import ast
import copy
import datetime
import keyword
import math
import random
import re
import statistics
from dataclasses import dataclass, field
from functools import cache, lru_cache
from types import FunctionType, SimpleNamespace

from batos.mind import dialect, linking
from batos.mind.dialect import LinkedBrief, link
from batos.mind.trials import generate_trials, random_value
from scripts.curriculum import (
    INDEX,
    OPERATIONS,
    PROTECTED,
    Operation,
    _fits,
    argument_kinds,
    kinds_of,
    nouns,
    pair_held_out,
    shape_held_out,
)

REFUSALS = {
    "meaning": "no word in it says what to do",
    "outside": "it needs something outside the image",
    "kind": "that cannot be done with a value of this kind",
    "slot": "it names something that the object does not have",
    "arguments": "the arguments do not fit",
    "choice": "it does not say which slot is meant",
}
FINDINGS = {
    "sound": "it does what the message says",
    "reads": "it changes what it should only read",
    "still": "it does not change what it should change",
    "check": "it does not refuse what cannot be done",
    "refuses": "it refuses what can be done",
    "answer": "it answers the wrong thing",
    "other": "it does something else",
    "broken": "it fails",
    "meaning": "the message has no clear meaning",
}
GENERIC = {
    "int": "it amount value number some money money points units",
    "float": "it amount value number some money",
    "text": "it text",
    "list": "item element entry it items elements list",
    "dict": "entry key it entries",
    "set": "item member it items members",
    "date": "date it",
}
DISTRACTOR_KINDS = (
    "int",
    "int",
    "int",
    "float",
    "text",
    "text",
    "text",
    "bool",
    "date",
    "list int",
    "list text",
    "dict int",
    "dict text",
    "list record",
    "set text",
    "none",
    "list",
    "object",
    "list float",
    "dict",
)
KW_NAMES = tuple(name for name in dialect.ARGUMENTS)
METAS = (
    "",
    "think first",
    "be brief",
    "you are a careful programmer",
    "answer in plain python",
    "short and exact please",
    "follow the conventions of the image",
    "you keep the house in order",
    "what does the message ask",
)
SENSELESS = """
frobnicate tickle dance marry sing fly wash cook jump kiss hug paint dream zap wobble jiggle munge tweak
fiddle massage grok yodel ponder juggle knead polish sharpen caress bewitch enchant haunt chase scold praise
forgive insult bless curse bend twist fold iron bake fry grill season feed water plant harvest climb swim
skate ski hunt fish sail tame ride admire adore amuse annoy applaud argue astonish avenge awaken baffle
banish bark beg befriend behold besiege bite blame blush boast boil bother bow brag breathe brew bribe
bruise bully burp bury buzz camp carve celebrate cheat cheer chew chill chirp choke clap cling clown comb
comfort compose confess confide console cough crawl creak cringe crochet cuddle dazzle deceive defend defy
delight despise dine disguise dread drift drown embrace enjoy entertain envy evict explore faint fear
flatter flee flirt flutter forget frighten frown gallop gamble gargle gaze giggle glare gossip greet grieve
grin growl grumble guess hammer hatch heal hide hiccup hike hop howl hum hush hypnotize ignite imagine
imitate impress inhale inspire interrogate interview itch jog joke kick kneel knit knock lament laugh
lecture lick limp lull march meditate melt mend migrate mime mourn mow mumble murmur nag nap nibble nod
nudge obey offend orbit persuade pinch plead pluck poke pounce pray preach prowl punch punish quarrel quench
rehearse rejoice rescue resent respect rinse roar roast rob row rub salute scare scent scratch scream scrub
seduce serenade sew shave shiver shout shrug sigh sip skid slap sleep slip smell smile smirk sneak sneeze
sniff snore soak sob soothe sparkle spin spit splash squeak stare starve sting stir stitch strangle stroke
stroll struggle stumble sulk surf swear sweep swing tangle taunt tease tempt terrify thank threaten throw
thump tiptoe toast torture tow trust tumble twinkle unwind vanish wag wail walk wander warn weave weep whine
whisper whistle wink wipe woo worship wrestle yawn yell yelp zoom
""".split()
OUTSIDE = """
translate_X translate_X_to_french X_in_french X_in_german X_in_spanish email_X send_X_by_mail mail_X
download_X upload_X print_X print_X_on_paper weather_in_X weather_at_X forecast_for_X post_X tweet_X
publish_X_online search_X_online google_X open_file_X save_X_to_disk save_X_to_file load_X_from_file
export_X_to_pdf import_X_from_excel predict_X predict_next_X forecast_X who_wrote_X who_is_X capital_of_X
author_of_X population_of_X meaning_of_X definition_of_X synonyms_of_X summarize_X summary_of_X explain_X
sentiment_of_X mood_of_X X_in_euros X_in_dollars convert_X_to_euros X_in_yen exchange_rate_of_X
stock_price_of_X call_X phone_X text_X_to_phone remind_me_of_X schedule_X_on_calendar play_X play_music_X
draw_X draw_picture_of_X show_X_on_map map_of_X distance_to_moon_from_X route_to_X directions_to_X
order_X_online buy_X_online book_X_flight encrypt_X_with_key decrypt_X hash_password_X compile_X run_shell_X
execute_X run_command_X delete_file_X read_webpage_X fetch_url_X ping_server_X connect_X_to_database
query_database_for_X X_from_internet latest_news_about_X news_about_X wikipedia_X photo_of_X picture_of_X
record_video_of_X speak_X_aloud say_X_aloud listen_to_X recognize_X classify_X recommend_X
recommendation_for_X rhyme_with_X poem_about_X story_about_X write_essay_about_X current_time_in_X time_in_X
president_of_X temperature_outside_X pronounce_X spellcheck_X correct_spelling_of_X plot_X chart_X_as_image
""".split()


@dataclass
class Sample:
    """One message to one object; `operation` is None where it should be refused, for `why`."""

    brief: dict
    linked: LinkedBrief
    operation: Operation | None = None
    wording: str = ""
    letters: dict = field(default_factory=dict)  # X, Y, F, M -> handle
    why: str = ""

    # -- what the voices should answer ----------------------------------------------------------------

    def plan(self) -> dict:
        if self.operation is None:
            return {"can": False, "why": self.why}
        op = self.operation
        names = {slot.handle: slot.name for slot in self.linked.slots}
        out = {
            "can": True,
            "kind": op.kind,
            "slots": [
                names[self.letters[letter][:2]]
                for letter, _ in op.slots
                if letter in "XYZO" and self.letters[letter][:2] in names
            ],
            "args": [
                param.name or name for param, (name, _) in zip(self.linked.params, op.args, strict=True)
            ],
            "do": _spoken(op.do, op),
        }
        if op.unless:
            out["unless"] = _spoken(op.unless, op)
        return out | {"answer": _spoken(op.answer, op)}

    def asks(self) -> str:
        """What an auditor should say first: what the message asks for, in the words of the plan."""
        return self.why if self.operation is None else _phrase(self.operation)

    def body(self) -> str:
        return _filled(self.operation, tuple(sorted(self.letters.items())))

    def source(self) -> str:
        """The reference method, names put back."""
        return dialect.parse_method(self.body(), self.linked, self.plan())

    def tell(self) -> str:
        spoken = {
            letter: re.sub(r"^(.\d)\.(.\d)$", r"\2 of \1", handle).removesuffix("()")
            for letter, handle in self.letters.items()
        }
        text = re.sub(r"\b[XYZFGMN]\b", lambda match: spoken[match.group()], self.operation.tell)
        for i, (name, _) in enumerate(self.operation.args):
            text = re.sub(rf"\b{name}\b", f"¢{i}", text)
        return text


def _spoken(text, op):
    slots = [letter for letter, _ in op.slots if letter in "XYZ"]
    spoken = {"F": "that key", "G": "the other key", "M": "the method", "N": "the other method"}
    spoken |= (
        {slots[0]: "it"}
        if len(slots) == 1
        else dict(zip(slots, ("the first", "the second", "the third"), strict=False))
    )
    return re.sub(r"\b[XYZFGMN]\b", lambda match: spoken[match.group()], text)


@cache
def _phrase(op, unless=True, answer=None):
    """An operation in one line, in the words of its plan."""
    parts = [_spoken(op.do, op), _spoken(op.answer, op) if answer is None else answer]
    if op.unless and unless:
        parts.insert(1, "unless " + _spoken(op.unless, op))
    return ", ".join(parts)


@lru_cache(maxsize=5000)
def _phrases(letters, params):
    """{body: what it does} of every operation on these letters with so many arguments."""
    named = [letter for letter, _ in letters]
    return {
        _filled(op, letters): _phrase(op)
        for op in OPERATIONS
        if sorted(letter for letter, _ in op.slots) == named and len(op.args) == params
    }


@lru_cache(maxsize=20000)
def _filled(op, letters):
    """The code with handles: letters everywhere, argument names in code and in the braces of f-strings."""
    letters = dict(letters)
    args = {name: f"¢{i}" for i, (name, _) in enumerate(op.args)}
    if op.calls and len(args) == 1:
        args |= {"other": "¢0"}

    def code(match):
        return args.get(match.group(), match.group())

    names = re.compile(r"(?<![\w.])(?:" + "|".join(map(re.escape, args)) + r")\b") if args else None
    out = []
    for i, part in enumerate(re.split(r"('(?:[^'])*')", op.code)):
        if names:
            part = (
                names.sub(code, part)
                if i % 2 == 0
                else re.sub(r"\{[^}]*\}", lambda m: names.sub(code, m.group()), part)
            )
        out.append(part)
    # named arguments of calls keep their names: timedelta(days=days)
    text = re.sub(r"¢\d=", "days=", "".join(out))
    text = re.sub(r"\b[XYZFGMNO]\b", lambda match: letters[match.group()], text)
    return _sent(text) if any(len(handle) > 2 for handle in letters.values()) else text


def _sent(text):
    """The code of an operation whose slot is another object's (`§0.£0`) or a method's value (`¤0()`): what
    changes it is a message, and messages of errors speak of it plainly."""
    text = re.sub(
        r"^( *)self\.(§\d)\.(£\d) (?:([-+*])= |= )(\w+\(.*\)|[^ ]+)\nreturn self\.\2\.\3$",
        lambda m: (
            f"{m[1]}return self.{m[2]}.put('{m[3]}', "
            + (f"self.{m[2]}.{m[3]} {m[4]} " if m[4] else "")
            + f"{m[5]})"
        ),
        text,
        flags=re.M,
    )
    return re.sub(r"(?<!self\.)¤\d\(\)", "it", re.sub(r"(?<!self\.)§\d\.(£\d)", r"\1", text))


# -- drawing objects and messages --------------------------------------------------------------------------


def weight(op: Operation) -> float:
    base = (len(op.wordings) - len(op.later)) ** 0.4
    if op.calls:
        return 4 * base  # few wordings, and who comes first and gets what has to be learned
    if op.known:
        return 0.8 * base
    return base * (3.0 if any(PROTECTED.fullmatch(wording) for wording in op.wordings) else 1.0)


WEIGHTS = [weight(op) for op in OPERATIONS]
VERBS = frozenset(wording.split("_")[0] for op in OPERATIONS for wording in op.wordings)


def _slot_name(kind, rng, unseen):
    if not unseen and rng.random() < 0.15:
        special = {"text": nouns.TEXT_NAMES, "date": nouns.DATE_NAMES, "bool": nouns.BOOL_NAMES}.get(kind)
        if special:
            name = rng.choice(special)
            if not any(nouns.held_out(word) for word in name.split("_")):
                return name
    name = nouns.noun(rng, unseen)
    if not unseen and rng.random() < 0.03:
        name = rng.choice([word for word in nouns.SPEAKING if not nouns.held_out(word)])
    if (
        kind.split(" ")[0] in ("list", "dict", "set")
        and rng.random() < 0.75
        and name.isalpha() | ("_" in name)
    ):
        name = nouns.plural(name)
    return name


def _record(rng, want, unseen):
    """A record's keys with values: `want` are the kinds that must be there; [(key, value)]."""
    kinds = [
        rng.choice(
            {"numfield": ["int", "float"], "textfield": ["text"], "anyfield": ["int", "float", "text"]}[cls]
        )
        for cls in want
    ]
    kinds += [rng.choice(("int", "text", "float", "text", "bool")) for _ in range(rng.choice((0, 1, 1, 2)))]
    if len(kinds) < 2:
        kinds.append("text")
    keys = []
    while len(keys) < len(kinds):
        key = rng.choice(
            ("price", "name", "age", "city", "score", "kind", "weight", "price", "year", "color")
        )
        key = nouns.noun(rng, unseen) if rng.random() < 0.6 or key in keys else key
        if key not in keys and not (unseen is False and any(nouns.held_out(part) for part in key.split("_"))):
            keys.append(key)
    return list(zip(keys, kinds, strict=True))


def _value(kind, rng, fields=None):
    if kind == "object":
        return SimpleNamespace()
    if kind == "list record":
        fields = fields or _record(rng, [], False)
        return [{key: random_value(inner, rng) for key, inner in fields} for _ in range(rng.randint(1, 3))]
    if kind in ("dict mixed",):
        return (
            {"name": "Ada", "age": 36}
            if not fields
            else {key: random_value(inner, rng) for key, inner in fields}
        )
    if kind == "list mixed":
        return [1, "two", 3.5][: rng.randint(2, 3)]
    if kind == "list list":
        return [[1, 2], [3]]
    if kind == "dict list":
        return {key: [1, 2] if rng.random() < 0.5 else ["a"] for key in rng.sample(("a", "b", "cd", "x"), 2)}
    while True:
        value = random_value(kind, rng)
        if dialect.kind_of(value) == kind or not kind.partition(" ")[2]:
            return value


def _spell(wording, names, rng):
    out = []
    for part in wording.split("_"):
        name = names.get(part)
        if name is None:
            out.append(part)
            continue
        roll = rng.random()
        if "_" in name and roll < 0.12:
            name = name.split("_")[-1 if rng.random() < 0.8 else 0]
        elif roll < 0.3:
            words = name.split("_")
            single = next(
                (w for w in sorted(linking.folds(words[-1]), key=len) if nouns.plural(w) == words[-1]), None
            )
            words[-1] = single or nouns.plural(words[-1])
            name = "_".join(words)
        out.append(name)
    return "_".join(out)


def draw(
    rng: random.Random,
    *,
    operation: Operation | None = None,
    wording: str | None = None,
    unseen: bool = False,
    shape: str = "seen",
    pairs: str = "seen",
    plain: bool = False,
) -> Sample:
    """A message that can be done. `unseen` nouns are those kept from training; `shape` and `pairs` are
    "seen" (as in training) or "unseen"; `plain` leaves out what is only seasoning (intents, camel case,
    missing nouns)."""
    while True:
        sample = _draw(rng, operation, wording, unseen, shape, pairs, plain)
        if sample is not None:
            return sample


def _draw(rng, operation, wording, unseen, shape, pairs, plain):
    op = operation or rng.choices(OPERATIONS, WEIGHTS)[0]
    if wording is None:
        weights = [
            6.0 if PROTECTED.fullmatch(each) else 0.6 if each in op.later else 1.0 for each in op.wordings
        ]
        wording = rng.choices(op.wordings, weights)[0]
    if pair_held_out(wording, op) != (pairs == "unseen"):
        return None
    names, state, letters, kinds = {}, {}, {}, {}
    fields = [cls for letter, cls in op.slots if letter in "FG"]
    record = keyof = None
    for letter, cls in op.slots:
        if letter not in "XYZ":
            continue
        kind = rng.choice(kinds_of(cls, kinds.get("X")))
        name = rng.choice(dict(op.known)[letter]) if op.known else _slot_name(kind, rng, unseen)
        if letter != "X" and not op.known and "_" in name and rng.random() < 0.3 and "_" in names["X"]:
            name = name.split("_")[0] + "_" + names["X"].split("_")[1]  # start_date, end_date
        if name in state or _close(name, state):
            return None
        kinds[letter], names[letter] = kind, name
        if kind == "list record":
            record = _record(rng, fields, unseen)
            state[name] = _value(kind, rng, rng.sample(record, len(record)))
        elif "keyof" in fields:
            word = kind.split(" ")[1]
            keys = list(dict.fromkeys(nouns.noun(rng, unseen, 0.7) for _ in range(rng.randint(1, 4))))
            inner = [rng.choice(("int", "text", "float")) if word == "mixed" else word for _ in keys]
            keyof = list(zip(keys, inner, strict=True))
            state[name] = {key: random_value(each, rng) for key, each in keyof}
            if kind == "dict mixed" and dialect.kind_of(state[name]) != kind:
                return None
        else:
            state[name] = _value(kind, rng)
    first = kinds.get("X")
    for i, letter in enumerate(letter for letter, _ in op.slots if letter in "FG"):
        names[letter] = (keyof or record)[i][0]
        kinds[letter] = (keyof or record)[i][1]
    for _ in range(rng.choice((0, 0, 1, 1, 2, 2, 3, 4))):
        kind = rng.choice(DISTRACTOR_KINDS)
        name = _slot_name(kind, rng, unseen)
        if name not in state and not _close(name, state):
            state[name] = _value(kind, rng)
    if shape is not None and shape_held_out([dialect.kind_of(value) for value in state.values()]) != (
        shape == "unseen"
    ):
        return None

    selectors = {}
    for letter, cls in op.slots:
        if letter in "MN":
            base = rng.choices(OPERATIONS, WEIGHTS)[0]
            if base.calls or any(each in "YZFG" for each, _ in base.slots):
                return None
            noun = (
                rng.choice([*state, _slot_name("int", rng, unseen)])
                if state
                else _slot_name("int", rng, unseen)
            )
            name = _spell(rng.choice(base.wordings), {"X": noun}, rng)
            params = [rng.choice(KW_NAMES)] if cls == "any1" else []
            if name in selectors or name in state or set(linking.words_of(name)) & linking.COMPOSITION_WORDS:
                return None
            selectors[name], names[letter] = params, name
    if rng.random() < 0.3:
        for _ in range(rng.randint(1, 3)):
            other = rng.choices(OPERATIONS, WEIGHTS)[0]
            if {each for each, _ in other.slots} == {"X"} and state:
                name = _spell(rng.choice(other.wordings), {"X": rng.choice(list(state))}, rng)
                if name not in state:
                    selectors.setdefault(name, [name for name, _ in other.args])

    values = []
    for _, cls in op.args:
        kind = rng.choice(argument_kinds(cls, first, kinds.get("F")))
        values.append(_value(kind, rng))
    args, kw = values, {}
    if values and rng.random() < 0.12:
        start = 0 if rng.random() < 0.7 else len(values) - 1
        for (name, _), value in zip(op.args[start:], values[start:], strict=True):
            word = rng.choice((name, name, rng.choice(KW_NAMES), nouns.noun(rng, unseen)))
            kw[word] = value
        args = values[:start]
        if len(args) + len(kw) != len(values):
            return None

    bare = (
        not plain
        and not op.known
        and rng.random() < 0.14
        and [letter for letter, _ in op.slots] == ["X"]
        and _only_choice(wording, op, names["X"], state)
    )
    if bare:
        generic = rng.choice(GENERIC.get(first.split(" ")[0], "it").split()) if rng.random() < 0.4 else None
        parts = [generic if part == "X" else part for part in wording.split("_")]
        selector = "_".join(part for part in parts if part)
        if not selector or (generic is None and parts[0] is None):
            return None
    elif op.calls:
        selector = "_".join(names.get(part, part) for part in wording.split("_"))
    else:
        selector = _spell(wording, names, rng)
    if not plain and rng.random() < 0.05:
        selector += "_"
    elif not plain and rng.random() < 0.04:
        first_word, *others = selector.split("_")
        selector = first_word + "".join(word.capitalize() for word in others)
    if selector in state or selector in selectors or keyword.iskeyword(selector):
        return None

    items = list(state.items())
    rng.shuffle(items)
    brief = {
        "receiver": None,
        "selector": selector,
        "args": args,
        "kw": kw,
        "slots": dict(items),
        "selectors": selectors,
        "intent": None,
        "examples": [],
    }
    linked = link(brief)
    unnamed = bare or op.calls or op.known
    expected = set() if unnamed else {name for letter, name in names.items() if letter in "XYZ"}
    if {slot.name for slot in linked.slots if slot.linked} != expected:
        return None
    handles = {slot.name: slot.handle for slot in linked.slots}
    fields_of = {key: handle for handle, key, _ in linked.fields}
    methods = {method.name: method.handle for method in linked.methods}
    for letter, name in names.items():
        handle = (handles if letter in "XYZ" else fields_of if letter in "FG" else methods).get(name)
        if handle is None:
            return None
        letters[letter] = handle
    if (
        not bare
        and not op.calls
        and not op.known
        and any(handle not in linked.said for handle in letters.values())
    ):
        return None
    sample = Sample(brief, linked, op, wording, letters)
    if not plain and rng.random() < 0.07:
        _add_intent(sample, rng, unseen)
    return sample


def _close(name, state):
    words = linking.words_of(name)
    return any(
        linking.agree(words, linking.words_of(other))
        for other in state
        if len(linking.words_of(other)) == len(words)
    )


def _only_choice(wording, op, name, state):
    """Whether no other slot could be meant when the noun is left out."""
    for other, value in state.items():
        if other != name:
            for candidate, _, args in INDEX.get((wording, dialect.kind_of(value)), ()):
                if len(args) == len(op.args) and len(candidate.slots) == 1:
                    return False
    return True


def _intent(rng):
    """A sentence about nothing the object has, as a way of thinking is told."""
    first, second = (rng.choice(OPERATIONS) for _ in range(2))
    text = f"{rng.choice(METAS[1:])} and {rng.choice((first.do, second.tell))}"
    return re.sub(r"\b[XYZFGMN]\b", lambda _: rng.choice(nouns.COMMON), text)


def _add_intent(sample, rng, unseen):
    op = sample.operation
    text = op.tell
    if rng.random() < 0.5:
        text = text.split(", unless")[0]
    if rng.random() < 0.3:
        text = text.split(" and answers")[0]
    text = re.sub(
        r"^answers (whether )?",
        lambda match: rng.choice((match.group(), "", "tell me " + (match[1] or ""))),
        text,
    )
    back = {handle: slot.name for slot in sample.linked.slots for handle in [slot.handle]}
    back |= {method.handle: method.name for method in sample.linked.methods}
    back |= {handle: key for handle, key, _ in sample.linked.fields}
    sample.brief["intent"] = re.sub(
        r"\b[XYZFGMN]\b", lambda match: back[sample.letters[match.group()]].replace("_", " "), text
    )
    letters = {letter for letter, _ in op.slots}
    if letters <= set("XYZ") and rng.random() < 0.4:
        linked_names = [slot.name for slot in sample.linked.slots if slot.linked]
        sample.brief["selector"] = "_".join(
            [rng.choice((nouns.invented(rng), rng.choice(SENSELESS))), *linked_names]
        )
    linked = link(sample.brief)
    if [slot.name for slot in linked.slots] != [slot.name for slot in sample.linked.slots] or (
        linked.fields != sample.linked.fields or linked.methods != sample.linked.methods
    ):
        sample.brief["intent"], sample.brief["selector"] = None, sample.linked.selector
    else:
        sample.linked = linked


# -- what should be refused --------------------------------------------------------------------------------


def draw_refusal(rng: random.Random, unseen: bool = False) -> Sample:
    """A message outside the mind's reach. With `unseen` also its senseless verbs were never seen."""
    while True:
        sample = _draw_refusal(rng, unseen)
        if sample is not None:
            return sample


def _senseless(rng, unseen):
    while True:
        verb = rng.choice(SENSELESS) if rng.random() < 0.4 else nouns.invented(rng)
        if nouns.held_out(verb) == unseen and verb not in VERBS:
            return verb + rng.choice(("", "", "", "_in", "_by", "_with", "_of", "ed", "_to"))


def _outside(rng, unseen):
    while True:
        wording = rng.choice(OUTSIDE)
        if nouns.held_out(wording) == unseen:
            return wording


def _draw_refusal(rng, unseen):
    base = _draw(rng, None, None, unseen, None, "seen", True)
    if base is None or base.operation.calls:
        return None
    brief = copy.copy(base.brief)
    brief["selectors"] = dict(brief["selectors"])
    state, op = brief["slots"], base.operation
    why = rng.choices(("meaning", "outside", "kind", "slot", "arguments", "choice"), (5.5, 4.5, 5, 2, 2, 1))[
        0
    ]
    target = next((slot.name for slot in base.linked.slots if slot.linked), None)
    if target is None:
        return None
    few = [
        random_value(rng.choice(("int", "text", "float")), rng) for _ in range(rng.choice((0, 0, 1, 1, 2)))
    ]
    if why == "meaning":
        verb = _senseless(rng, unseen)
        brief["selector"] = rng.choice(
            (
                f"{verb}_{target}",
                f"{verb}_{target}",
                f"{verb}_{target}",
                verb,
                f"{target}_{verb}",
                f"{verb}_{target}_{_senseless(rng, unseen)}",
                f"is_{target}_{verb}",
            )
        )
        brief["args"], brief["kw"] = few, {}
    elif why == "outside":
        noun = target if rng.random() < 0.7 else nouns.noun(rng, unseen)
        wording = _outside(rng, unseen)
        brief["selector"] = (
            wording.replace("X", noun) if rng.random() < 0.85 else wording.replace("_X", "").replace("X_", "")
        )
        brief["args"], brief["kw"] = few[:1], {}
    elif why == "kind":
        if {letter for letter, _ in op.slots} != {"X"} or "X" not in op.wordings[0]:
            return None
        kind = rng.choice(DISTRACTOR_KINDS)
        if (
            (base.wording, kind) in INDEX
            or kind == "list"
            and any((base.wording, f"list {inner}") in INDEX for inner in ("int", "float", "text", "record"))
            or kind == "dict"
            and (base.wording, "dict int") in INDEX
        ):
            return None
        brief["slots"] = {
            name: _value(kind, rng) if name == target else value for name, value in state.items()
        }
    elif why == "slot":
        gone = target
        if any(gone in words.split() for words in GENERIC.values()):
            return None
        brief["slots"] = {name: value for name, value in state.items() if name != gone}
        if rng.random() < 0.3:
            brief["slots"][_slot_name("int", rng, unseen)] = 3
    elif why == "arguments":
        if {letter for letter, _ in op.slots} != {"X"}:
            return None
        kind = base.linked.slots[0].kind
        entries = INDEX.get((base.wording, kind), ())
        if rng.random() < 0.5:
            count = rng.choice([number for number in (0, 1, 2, 3) if number != len(op.args)])
            if any(len(args) == count for _, _, args in entries):
                return None
            brief["args"], brief["kw"] = (
                [random_value(rng.choice(("int", "text")), rng) for _ in range(count)],
                {},
            )
        else:
            if len(op.args) != 1 or brief["kw"]:
                return None
            wrong = rng.choice(("int", "text", "list int", "bool", "dict int"))
            if any(
                len(args) == 1
                and (_fits(wrong, args[0]) or wrong.split(" ")[0] in [a.split(" ")[0] for a in args[0]])
                for _, _, args in entries
            ):
                return None
            brief["args"] = [_value(wrong, rng)]
    else:
        if {letter for letter, _ in op.slots} != {"X"} or base.wording.startswith("X"):
            return None
        kind = base.linked.slots[0].kind
        extra = _slot_name(kind, rng, unseen)
        if extra in state:
            return None
        selector = "_".join(part for part in base.wording.split("_") if part != "X")
        items = [*state.items(), (extra, _value(kind, rng))]
        rng.shuffle(items)
        brief["slots"], brief["selector"] = dict(items), selector
    if (
        brief["selector"] in brief["slots"]
        or brief["selector"] in brief["selectors"]
        or not brief["selector"].isidentifier()
    ):
        return None
    linked = link(brief)
    if why in ("slot", "choice") and any(slot.linked for slot in linked.slots) and why == "choice":
        return None
    if why == "slot" and len(op.slots) == 1 and any(slot.linked for slot in linked.slots):
        return None
    return Sample(brief, linked, None, base.wording, {}, REFUSALS[why])


# -- running methods ---------------------------------------------------------------------------------------


class Thing:
    """A plain object for trials: slots are attributes; messages to existing methods are written down and
    answered."""

    def __init__(self, slots, methods=(), answers=None):
        self.__dict__.update(slots)
        self.__dict__["_log"] = log = []
        for name in methods:
            self.__dict__[name] = lambda *args, _name=name: log.append((_name, _plain(args))) or len(log)
        for name, value in (answers or {}).items():
            self.__dict__[name] = lambda _value=value: _value

    def put(self, name, value):
        setattr(self, name, value)
        return value


@dataclass
class Seen:
    """Another object in a trial, before it is made: a `Thing` only when that runs."""

    slots: dict
    methods: tuple[str, ...]


def trials_of(linked: LinkedBrief, n: int, rng: random.Random) -> list[dict]:
    """`generate_trials`, with what reading methods answer and what other objects hold made up as well."""
    out = generate_trials(linked, n, rng)
    for trial in out:
        trial["answers"] = {each.name: random_value(each.gives, rng) for each in linked.methods if each.gives}
        for other in linked.others:
            methods = tuple(each.name for each in linked.methods if each.of == other.handle)

            def made(other=other, methods=methods):
                return Seen({name: random_value(kind, rng) for _, name, kind in other.fields}, methods)

            if other.handle.startswith("¢"):
                trial["args"][int(other.handle[1:])] = made()
                continue
            slot = next(slot for slot in linked.slots if slot.handle == other.handle)
            several = slot.kind.startswith("list")
            trial["slots"][slot.name] = [made() for _ in range(rng.randint(0, 3))] if several else made()
    return out


def _made(value):
    if isinstance(value, Seen):
        return Thing(copy.deepcopy(value.slots), value.methods)
    return [_made(each) for each in value] if isinstance(value, list) else copy.deepcopy(value)


GLOBALS = {"math": math, "statistics": statistics, "datetime": datetime, "re": re}


@lru_cache(maxsize=4000)
def compiled(source: str):
    namespace = dict(GLOBALS)
    exec(compile(source, "method", "exec"), namespace)
    return next(value for value in namespace.values() if isinstance(value, FunctionType))


def behave(source: str, linked: LinkedBrief, trials: list[dict]) -> list[tuple]:
    """What a method does in every trial: (its answer or the error's class, the state afterwards)."""
    function = compiled(source)
    out = []
    methods = [method.name for method in linked.methods if not method.of]
    for trial in trials:
        slots = {name: _made(value) for name, value in trial["slots"].items()}
        thing = Thing(slots, methods, trial.get("answers"))
        args = [_made(value) for value in trial["args"]]
        try:
            answer = ("answered", _plain(function(thing, *args, **copy.deepcopy(trial["kw"]))))
        except (ValueError, LookupError):
            answer = ("refused", "")
        except Exception as exc:
            answer = ("failed", type(exc).__name__)
        state = {name: value for name, value in vars(thing).items() if name in trial["slots"]}
        reached = "".join(_plain(arg) for arg in args if isinstance(arg, Thing))
        out.append((answer, _plain(state) + reached, tuple(thing._log)))
    return out


def _plain(value):
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, (int, float)):
        return f"{value:.9g}" if math.isfinite(value) and abs(value) < 1e300 else repr(value)[:60]
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_plain(each) for each in value) + "]"
    if isinstance(value, (set, frozenset)):
        return "{" + ",".join(sorted(_plain(each) for each in value)) + "}"
    if isinstance(value, dict):
        return "{" + ",".join(sorted(_plain(k) + ":" + _plain(v) for k, v in value.items())) + "}"
    if isinstance(value, Thing):
        kept = {name: each for name, each in vars(value).items() if name[0] != "_" and not callable(each)}
        return f"<{_plain(kept)}{value._log}>"
    return repr(value) if isinstance(value, str) else type(value).__name__


# -- methods gone wrong ------------------------------------------------------------------------------------

_SWAPS = [
    ("+=", "-="),
    ("-=", "+="),
    (" + ", " - "),
    (" - ", " + "),
    (" * ", " + "),
    ("*=", "+="),
    (" / ", " * "),
    (" > ", " < "),
    (" < ", " > "),
    (" >= ", " > "),
    (" <= ", " < "),
    (" > ", " >= "),
    ("max(", "min("),
    ("min(", "max("),
    ("sum(", "max("),
    ("sum(", "len("),
    (".append(", ".remove("),
    (" not in ", " in "),
    (" in ", " not in "),
    (" == ", " != "),
    ("[0]", "[-1]"),
    ("[-1]", "[0]"),
    ("upper", "lower"),
    ("lower", "upper"),
    ("any(", "all("),
    ("all(", "any("),
    ("True", "False"),
    ("False", "True"),
    (", reverse=True", ""),
    ("100 - ", "100 + "),
    ("100 + ", "100 - "),
    ("return len(", "return ("),
    ("* 2", "* 3"),
    ("+ 1", "+ 2"),
    ("startswith", "endswith"),
    ("endswith", "startswith"),
    ("not ", ""),
]


def spoil(sample: Sample, rng: random.Random) -> str | None:
    """A body that does something else than the reference, or None if this try failed to."""
    body, linked = sample.body(), sample.linked
    way = rng.choice(
        ("swap", "swap", "slot", "check", "answer", "reads", "other", "other", "other", "still", "late")
    )
    lines = body.split("\n")
    if way == "swap":
        fitting = [(old, new) for old, new in _SWAPS if old in body]
        if not fitting:
            return None
        old, new = rng.choice(fitting)
        places = [match.start() for match in re.finditer(re.escape(old), body)]
        place = rng.choice(places)
        body = body[:place] + new + body[place + len(old) :]
    elif way == "slot":
        others = [slot.handle for slot in linked.slots if slot.handle not in sample.letters.values()]
        others += [handle for handle in sample.letters.values() if handle.startswith("§")]
        mine = sample.letters.get("X")
        if not mine or not others:
            return None
        body = body.replace(f"self.{mine}", f"self.{rng.choice(others)}")
    elif way == "check":
        if not lines[0].startswith("if ") or len(lines) < 3 or "raise" not in lines[1]:
            return None
        body = "\n".join(lines[2:])
    elif way == "late":
        if (
            not lines[0].startswith("if ")
            or len(lines) < 4
            or "raise" not in lines[1]
            or not lines[-1].startswith("return")
        ):
            return None
        body = "\n".join([*lines[2:-1], *lines[:2], lines[-1]])
    elif way == "answer":
        if not lines[-1].startswith("return"):
            return None
        lines[-1] = rng.choice(
            (
                "return None",
                "return True",
                "return self",
                "",
                "return ¢0" if linked.params else "return 0",
                f"return self.{sample.letters.get('X', linked.slots[0].handle if linked.slots else '')}",
            )
        )
        body = "\n".join(line for line in lines if line) or "pass"
    elif way == "reads":
        mine = sample.letters.get("X")
        if sample.operation.kind != "read" or not lines[-1].startswith("return ") or not mine:
            return None
        lines[-1:] = [f"self.{mine} = {lines[-1][7:]}", f"return self.{mine}"]
        body = "\n".join(lines)
    elif way == "still":
        match = re.search(r"^self\.(§\d) ([-+*]?)= (.*)$", body, re.M)
        if not match:
            return None
        value = f"self.{match[1]} {match[2]} {match[3]}" if match[2] else match[3]
        body = body[: match.start()] + f"return {value}"
    else:
        mine = {letter: cls for letter, cls in sample.operation.slots}
        kind = next((slot.kind for slot in linked.slots if slot.handle == sample.letters.get("X")), "")
        other = rng.choice(OPERATIONS)
        if (
            [letter for letter, _ in other.slots] != list(mine)
            or len(other.args) != len(linked.params)
            or "F" in mine
            or "M" in mine
            or kind not in kinds_of(other.slots[0][1], kind)
        ):
            return None
        body = _filled(other, tuple(sorted(sample.letters.items())))
    return body


def judged(sample: Sample, body: str, rng: random.Random, n: int = 14) -> tuple[str, str] | None:
    """(source, finding) of a body against the reference, by what both do; None if it is no Python."""
    try:
        source = dialect.parse_method(body, sample.linked, sample.plan())
        trials = trials_of(sample.linked, n, rng)
        right, mine = behave(sample.source(), sample.linked, trials), behave(source, sample.linked, trials)
    except (ValueError, SyntaxError, TypeError, RecursionError, OverflowError, MemoryError):
        return None
    if right == mine:
        return source, FINDINGS["sound"]
    before = [
        _plain({name: _made(value) for name, value in trial["slots"].items()})
        + "".join(_plain(_made(arg)) for arg in trial["args"] if isinstance(arg, Seen))
        for trial in trials
    ]
    finding = FINDINGS["other"]
    pairs = list(zip(before, right, mine, strict=True))
    if any(theirs[0][0] == "failed" and ours[0][0] == "answered" for _, ours, theirs in pairs):
        finding = FINDINGS["broken"]
    elif any(ours[0][0] == "refused" and theirs[0][0] != "refused" for _, ours, theirs in pairs):
        finding = FINDINGS["check"]
    elif any(ours[0][0] == "answered" and theirs[0][0] == "refused" for _, ours, theirs in pairs):
        finding = FINDINGS["refuses"]
    elif all(ours[1] == start for start, ours, _ in pairs) and any(
        theirs[1] != start for start, _, theirs in pairs
    ):
        finding = FINDINGS["reads"]
    elif any(ours[1] != start for start, ours, _ in pairs) and all(
        theirs[1] == start for start, _, theirs in pairs
    ):
        finding = FINDINGS["still"]
    elif all(ours[1] == theirs[1] for _, ours, theirs in pairs):
        finding = FINDINGS["answer"]
    return source, finding


def vary(body: str, rng: random.Random) -> str:
    """The same method as another mind might have written it."""
    if rng.random() < 0.5:
        body = re.sub(r"^( *)(self\.§\d) ([-+*])= (.+)$", r"\1\2 = \2 \3 \4", body, flags=re.M)
    if rng.random() < 0.3:
        body = re.sub(r"^( *)if (\S+) > (\S+):$", r"\1if \3 < \2:", body, flags=re.M)
    if rng.random() < 0.3:
        body = re.sub(r"\beach\b", rng.choice(("n", "entry", "item", "e", "one")), body)
    if rng.random() < 0.25:
        body = re.sub(r"^return (.+)$", r"result = \1\nreturn result", body, flags=re.M)
    if rng.random() < 0.2:
        body = re.sub(
            r"raise (Value|Key)Error\(.*\)",
            rng.choice(
                (
                    "raise ValueError('no')",
                    "raise ValueError('this cannot be done')",
                    "raise KeyError('missing')",
                )
            ),
            body,
        )
    try:
        ast.parse(re.sub("[§¤¢£]", "h", body))
    except SyntaxError:
        return body
    return body


# -- texts to learn from -----------------------------------------------------------------------------------


def _meta(default, rng):
    return default if rng.random() < 0.75 else rng.choice(METAS)


def lesson_plan_and_method(sample: Sample, rng: random.Random) -> list[tuple[str, bool]]:
    """[(text, learned?)]: what stands in the prompt and what the mind should say."""
    prompt = dialect.plan_prompt(sample.linked, _meta(dialect.PLAN_META, rng))
    plan = dialect.plan_text(sample.plan(), sample.linked)
    if sample.operation is None:
        return [(prompt, False), (plan + dialect.END, True)]
    return [
        (prompt, False),
        (plan + dialect.END, True),
        (f"{dialect.METHOD}{_meta(dialect.METHOD_META, rng)}\n", False),
        (sample.body() + dialect.END, True),
    ]


def lesson_audit(sample: Sample, rng: random.Random) -> list[tuple[str, bool]] | None:
    meta = _meta(dialect.AUDIT_META, rng)
    if sample.operation is None:
        other = draw(rng, plain=True)
        body = re.sub(
            "[§][0-9]", sample.linked.slots[0].handle if sample.linked.slots else "§0", other.body()
        )
        finding, does = FINDINGS["meaning"], _phrase(other.operation)
        try:
            wishes = ["value"] * len(sample.linked.params)
            source = dialect.parse_method(body, sample.linked, {"args": wishes})
        except ValueError:
            return None
    else:
        body = sample.body()
        sound = rng.random() < 0.5
        if not sound:
            body = spoil(sample, rng)
            if body is None:
                return None
        plain = body
        body = vary(body, rng) if rng.random() < 0.4 else body
        verdict = judged(sample, body, rng)
        if (
            verdict is None
            or (sound and verdict[1] != FINDINGS["sound"])
            or (not sound and verdict[1] == FINDINGS["sound"])
        ):
            return None
        source, finding = verdict
        does = (
            sample.asks()
            if sound
            else _phrases(tuple(sorted(sample.letters.items())), len(sample.linked.params)).get(plain)
        )
        if does is None or (not sound and does == sample.asks()):
            does = {
                FINDINGS["check"]: _phrase(sample.operation, unless=False),
                FINDINGS["answer"]: _phrase(sample.operation, answer="another answer")
                if sample.operation.kind == "change"
                else "something else",
                FINDINGS["reads"]: "changes it",
                FINDINGS["still"]: "changes nothing",
                FINDINGS["broken"]: "fails",
            }.get(finding, "something else")
    try:
        prompt = dialect.audit_prompt(sample.linked, source, meta)
    except ValueError:
        return None
    answer = audit_text(finding, sample.asks(), does)
    return [(prompt, False), (answer + dialect.END, True)]


def audit_text(finding: str, asks: str, does: str) -> str:
    sound = "true" if finding == FINDINGS["sound"] else "false"
    return f'{{"asks":"{asks}","does":"{does}","sound":{sound},"finding":"{finding}"}}'


def lesson_retell(sample: Sample, rng: random.Random) -> list[tuple[str, bool]] | None:
    if sample.operation is None:
        return None
    body = vary(sample.body(), rng) if rng.random() < 0.4 else sample.body()
    try:
        source = dialect.parse_method(body, sample.linked, sample.plan())
        prompt = dialect.retell_prompt(sample.linked, source, _meta(dialect.RETELL_META, rng))
    except ValueError:
        return None
    return [(prompt, False), (sample.tell() + dialect.END, True)]
