"""The shipped mind: small, without a trace of the machine it was made on, right about everyday messages."""

import copy
import json
import re
from pathlib import Path

import pytest
from scripted import sender

from batos.app import System
from batos.config import Settings
from batos.message import Message
from batos.mind import dialect
from batos.mind.grammar import audit_grammar, method_grammar, plan_grammar, retell_grammar
from scripts.curriculum.samples import Thing, compiled

EMBEDDED = Path(dialect.__file__).parent / "embedded"
ACCOUNT = {"owner": "Ada", "balance": 100}
SHOP = {"stock": {"apple": 3, "pear": 5}, "guests": ["Ada", "Bo"], "savings": 50, "till": 20}
MESSAGES = [
    (ACCOUNT, "withdraw_balance", [30], 70),
    (ACCOUNT, "withdraw_balance", [500], ValueError),
    (ACCOUNT, "is_balance_above", [50], True),
    (ACCOUNT, "upper_owner", [], "ADA"),
    ({"zwirbel": 40}, "discounted_zwirbel", [10], 36),
    ({"gnorfs": [3, 9, 4]}, "largest_gnorf", [], 9),
    ({"gnorfs": [3, 9, 4]}, "gnorfs_above", [3], [9, 4]),
    ({"plimsoll": "the cat sat"}, "words_in_plimsoll", [], 3),
    (SHOP, "best_in_stock", [], "pear"),
    (SHOP, "tally_in_stock", ["apple"], 4),
    (SHOP, "add_guest", ["Cy"], 3),
    (SHOP, "remove_guest", ["Zed"], ValueError),
    (SHOP, "move_savings_to_till", [10], 30),
]


def test_the_files_are_small_and_name_no_machine():
    files = [path for path in EMBEDDED.rglob("*") if path.is_file() and path.suffix != ".py"]
    assert sum(path.stat().st_size for path in files) < 40e6
    for path in files:
        head = path.read_bytes()[:100_000].decode("utf-8", "replace")
        assert not re.search(r"/(home|root|tmp|work|usr)/", head), path
    for name in ("BRICK", "ALFRED", "ROBIN"):
        config = json.loads((EMBEDDED / "experts" / name / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == "batos-embedded-1" and config["r"] <= 16


@pytest.fixture(scope="module")
def engine():
    from batos.mind.loading import open_engine

    return open_engine(EMBEDDED / "base", EMBEDDED / "experts")


def said(engine, prompts, expert, grammars, most):
    from batos.mind.engine import Limits

    return [draft.text for draft in engine.generate(prompts, expert, grammars, Limits(max_tokens=most))]


@pytest.fixture(scope="module")
def written(engine):
    """The methods the mind writes for MESSAGES, one greedy draft each."""
    linked = [
        dialect.link({"selector": name, "args": args, "slots": slots}) for slots, name, args, _ in MESSAGES
    ]
    texts = said(
        engine,
        [dialect.plan_prompt(one) for one in linked],
        "BRICK",
        [plan_grammar(one) for one in linked],
        140,
    )
    plans = [dialect.parse_plan(text, one) for text, one in zip(texts, linked, strict=True)]
    assert all(plan["can"] for plan in plans), plans
    prompts = [dialect.method_prompt(one, plan) for one, plan in zip(linked, plans, strict=True)]
    bodies = said(engine, prompts, "BRICK", [method_grammar(one) for one in linked], 220)
    return linked, [dialect.parse_method(*each) for each in zip(bodies, linked, plans, strict=True)]


def test_brick_writes_methods_for_nouns_it_never_saw(written):
    for (slots, _, args, expected), source in zip(MESSAGES, written[1], strict=True):
        thing = Thing(copy.deepcopy(slots))
        if isinstance(expected, type):
            with pytest.raises((ValueError, LookupError)):
                compiled(source)(thing, *args)
            assert {name: getattr(thing, name) for name in slots} == slots
        else:
            assert compiled(source)(thing, *args) == expected, source


def test_what_is_out_of_reach_is_refused_with_a_reason(engine):
    linked = [
        dialect.link({"selector": selector, "slots": ACCOUNT})
        for selector in ("frobnicate_balance", "translate_owner_to_french", "email_owner")
    ]
    texts = said(
        engine,
        [dialect.plan_prompt(one) for one in linked],
        "BRICK",
        [plan_grammar(one) for one in linked],
        60,
    )
    for text, one in zip(texts, linked, strict=True):
        plan = dialect.parse_plan(text, one)
        assert not plan["can"] and plan["why"]


def test_alfred_and_robin_speak_about_a_finished_method(engine, written):
    linked, sources = written[0][0], written[1][0]
    audit, told = said(
        engine,
        [dialect.audit_prompt(linked, sources), dialect.retell_prompt(linked, sources)],
        ["ALFRED", "ROBIN"],
        [audit_grammar(), retell_grammar(linked)],
        140,
    )
    assert dialect.parse_audit(audit)["sound"] is True
    assert "balance" in dialect.parse_retell(told, linked, sources)


def test_missions_reach_other_objects_use_what_is_known_and_learn_from_examples(tmp_path):
    system = System(Settings(image=tmp_path / "image", heartbeat=False))
    try:
        system.incarnate()
        send = sender(system)
        send("lobby", "clone", called="lamp", brightness=10)
        send("lobby", "clone", called="lantern", brightness=3)
        send("lobby", "clone", called="room", prices=[3, 4, 5], limit=7)
        send("room", "put", "lamp", {"$ref": "lamp"})
        send("room", "put", "lights", [{"$ref": "lamp"}, {"$ref": "lantern"}])
        send("room", "define", "def total_price(self):\n    return sum(self.prices)\n")
        assert send("room", "increase_brightness_of_lamp", 5).result == 15
        assert send("lamp", "brightness").result == 15, "a message to the other object"
        assert send("room", "total_brightness_of_lights").result == 18, "a list of objects"
        assert send("room", "is_total_price_above", 10).result is True
        assert "self.total_price()" in send("room", "source", "is_total_price_above").result
        taught = [
            {"slots": {"prices": each}, "args": [], "kw": {}, "result": max(each)}
            for each in ([3, 4, 5], [1, 9, 2])
        ]
        told = system.kernel.send(Message("room", "zonk_prices", examples=taught, miss="mission"))
        assert told.result == 5 and "max(" in send("room", "source", "zonk_prices").result, (
            "told by examples alone"
        )
        replayed = send("kernel", "replay", told.mission).result
        assert replayed["same"] is True and replayed["differs"] == []
    finally:
        system.close()
