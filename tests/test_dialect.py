"""The dialect: names are found, pointed at and put back."""

import json
import random

import pytest

from batos.mind import dialect
from batos.mind.dialect import (
    body_text,
    kind_of,
    link,
    method_prompt,
    parse_audit,
    parse_method,
    parse_plan,
    parse_retell,
    plan_prompt,
)
from batos.mind.trials import generate_trials

PLAN = {
    "can": True,
    "kind": "change",
    "slots": ["balance"],
    "args": ["amount"],
    "do": "takes amount off it",
    "unless": "amount is more than it",
    "answer": "the new value",
}


def brief(selector, slots, *args, selectors=None, intent=None, **kw):
    return {
        "selector": selector,
        "args": list(args),
        "kw": kw,
        "slots": slots,
        "selectors": selectors or {},
        "intent": intent,
    }


def said(selector, slots, *args, **more):
    return link(brief(selector, slots, *args, **more)).said


@pytest.mark.parametrize(
    ("selector", "slots", "expected"),
    [
        ("withdraw_balance", {"owner": "Ada", "balance": 1}, "withdraw_§0"),
        ("balance_length", {"balance": 1}, "§0_length"),
        ("add_item", {"items": []}, "add_§0"),
        ("add_items", {"item": []}, "add_§0"),
        ("longest_story", {"stories": ["a"]}, "longest_§0"),
        ("sharpen_knives", {"knife": 1}, "sharpen_§0"),
        ("count_children", {"child": []}, "count_§0"),
        ("raise_unit_price", {"price": 2, "unit_price": 1}, "raise_§0"),
        ("raise_price", {"unit_price": 1, "owner": ""}, "raise_§0"),
        ("raise_price", {"unit_price": 1, "list_price": 1}, "raise_price"),
        ("move_savings_to_wallet", {"wallet": 1, "savings": 2}, "move_§0_to_§1"),
        ("withdrawBalance", {"balance": 1}, "withdraw_§0"),
        ("deposit_balance_", {"balance": 1}, "deposit_§0_"),
        ("count_items", {"count": 1, "items": []}, "count_§0"),
        ("current_count", {"count": 1}, "current_§0"),
        ("greet", {"name": "Ada"}, "greet"),
    ],
)
def test_the_linker_finds_which_slots_a_selector_names(selector, slots, expected):
    assert said(selector, slots) == expected


def test_slots_the_selector_names_come_first_in_its_order():
    linked = link(brief("move_b_to_a", {"x": 1, "a": 2, "b": 3}, 5))
    assert [(slot.handle, slot.name, slot.linked) for slot in linked.slots] == [
        ("§0", "b", True),
        ("§1", "a", True),
        ("§2", "x", False),
    ]


def test_keys_of_records_and_existing_methods_get_handles_too():
    linked = link(brief("total_price_of_orders", {"orders": [{"price": 2, "name": "tea"}]}))
    assert linked.said == "total_£0_of_§0" and linked.fields[0][:2] == ("£0", "price")
    linked = link(
        brief("deposit_balance_twice", {"balance": 1}, 5, selectors={"deposit_balance": ["amount"]})
    )
    assert linked.said == "¤0_twice"
    linked = link(
        brief("deposit_balance_by_percent", {"balance": 1}, 5, selectors={"deposit_balance": ["amount"]})
    )
    assert linked.said == "deposit_§0_by_percent"
    known = {"open": [], "empty_the_till": []}
    linked = link(brief("open_then_empty_the_till", {"balance": 1}, selectors=known))
    assert linked.said == "¤0_then_¤1" and linked.methods[0].name == "open"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "bool"),
        (3, "int"),
        (2.5, "float"),
        ("x", "text"),
        ("2026-01-31", "date"),
        (None, "none"),
        (object(), "object"),
        ([], "list"),
        ([1, 2], "list int"),
        ([1, 2.5], "list float"),
        (["a"], "list text"),
        ([{"a": 1}], "list record"),
        ([1, "a"], "list mixed"),
        ({}, "dict"),
        ({"a": 1}, "dict int"),
        ({"a": 1, "b": "x"}, "dict mixed"),
        ({"a": [1]}, "dict list"),
        ({"x"}, "set text"),
        (set(), "set"),
        ([[1]], "list list"),
        ([True], "list bool"),
    ],
)
def test_the_mind_is_told_kinds_and_not_values(value, kind):
    assert kind_of(value) == kind


def test_a_plan_goes_there_and_back():
    linked = link(brief("withdraw_balance", {"owner": "Ada", "balance": 100}, 30))
    text = dialect.plan_text(PLAN, linked)
    assert json.loads(text)["slots"] == ["§0"]
    assert parse_plan(text, linked) == PLAN
    assert method_prompt(linked, PLAN).startswith(plan_prompt(linked))


def test_a_refusal_keeps_its_reason():
    linked = link(brief("frobnicate", {"balance": 100}))
    assert parse_plan('{"can":false,"why":"no word in it says what to do"}', linked) == {
        "can": False,
        "why": "no word in it says what to do",
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "no(t)? JSON"),
        ("[]", "whether it can"),
        ('{"can":true}', "kind"),
        ('{"can":true,"kind":"read","slots":["§7"],"args":[],"do":"a","answer":"b"}', "slot"),
        ('{"can":true,"kind":"read","slots":["§0"],"args":[],"do":"a","answer":"b"}', "arguments"),
        ('{"can":true,"kind":"read","slots":["§0"],"args":["n"],"answer":"b"}', "what to do"),
    ],
)
def test_a_plan_that_is_none_says_why(text, reason):
    with pytest.raises(ValueError, match=reason):
        parse_plan(text, link(brief("withdraw_balance", {"balance": 1}, 3)))


def test_a_method_gets_its_names_back():
    linked = link(brief("withdraw_balance", {"owner": "Ada", "balance": 100}, 30))
    source = parse_method(
        "if ¢0 > self.§0:\n    raise ValueError('not enough §0')\nself.§0 -= ¢0\nreturn self.§0", linked, PLAN
    )
    assert source == (
        "def withdraw_balance(self, amount):\n    if amount > self.balance:\n"
        "        raise ValueError('not enough balance')\n    self.balance -= amount\n    return self.balance"
    )


def test_keywords_name_the_parameters_as_they_were_sent():
    linked = link(brief("withdraw_balance", {"balance": 100}, sum=30))
    plan = parse_plan(dialect.plan_text(PLAN | {"args": ["sum"]}, linked), linked)
    assert plan["args"] == ["sum"]
    assert parse_method("self.§0 -= ¢0\nreturn self.§0", linked, plan).startswith(
        "def withdraw_balance(self, sum):"
    )
    with pytest.raises(ValueError, match="hides the built-in"):
        parse_method("return sum([¢0])", linked, plan)


def test_a_parameter_never_captures_a_local():
    linked = link(brief("count_items_above", {"items": [1]}, each=3))
    source = parse_method("return sum((each > ¢0 for each in self.§0))", linked, {"args": ["each"]})
    assert source.endswith("return sum((each_ > each for each_ in self.items))")


@pytest.mark.parametrize("text", ["return self.§4", "return (", "self.¤0()"])
def test_a_method_that_is_none_is_an_error(text):
    with pytest.raises(ValueError):
        parse_method(text, link(brief("read_balance", {"balance": 1})))


def test_a_finished_method_is_read_without_what_the_guardian_added():
    linked = link(brief("add_item", {"items": []}, 3))
    source = (
        'def add_item(self, item):\n    """Says much."""\n    self._p_changed = True\n'
        "    self.items.append(item)\n"
        "    self._p_changed = True\n    return len(self.items)"
    )
    assert body_text(source, linked) == "self.§0.append(¢0)\nreturn len(self.§0)"


def test_findings_and_sentences_are_read():
    linked = link(brief("withdraw_balance", {"balance": 100}, 30))
    assert parse_audit('{"sound":false,"finding":"it does something else"}') == {
        "sound": False,
        "finding": "it does something else",
    }
    with pytest.raises(ValueError):
        parse_audit('{"sound":"yes"}')
    source = "def withdraw_balance(self, amount):\n    self.balance -= amount"
    assert parse_retell("takes ¢0 off §0", linked, source) == "Takes amount off balance."


def test_what_looks_like_the_dialect_in_an_intent_is_taken_out():
    linked = link(
        brief("withdraw_balance", {"balance": 1}, 3, intent="take it <|end|> off §9 the Balance\nnow")
    )
    assert linked.want.endswith("the §0 now") and "§9" not in linked.want and "<|" not in linked.want


def test_more_arguments_than_handles_are_refused_with_the_reason():
    with pytest.raises(ValueError, match="5 arguments"):
        link(brief("mix", {"a": 1}, 1, 2, 3, 4, 5))


def test_trials_begin_with_the_message_and_keep_the_kinds():
    linked = link(brief("withdraw_balance", {"owner": "Ada", "balance": 100, "tags": {"x"}, "log": [1]}, 30))
    trials = generate_trials(linked, 20, random.Random(1))
    assert trials[0] == {"slots": linked.state, "args": [30], "kw": {}}
    assert trials == generate_trials(linked, 20, random.Random(1))
    for trial in trials:
        for name, value in linked.state.items():
            assert kind_of(trial["slots"][name]).split(" ")[0] == kind_of(value).split(" ")[0]
        assert kind_of(trial["args"][0]) == "int"
    assert len({repr(trial) for trial in trials}) > 10


SHOP = {"price": 4, "owner": "Ada", "till": object()}


def test_a_reading_method_stands_for_its_value_where_the_selector_names_it():
    known = brief("is_total_price_above", SHOP, 3, selectors={"total_price": [], "sell": ["item"]})
    assert link(known).said == "is_total_§0_above"  # nobody says that it reads
    linked = link(known | {"answers": {"total_price": 12}})
    assert linked.said == "is_¤0_above"
    assert "¤0 total_§1 gives int\n" in dialect.brief_text(linked)
    source = parse_method("return self.¤0() > ¢0", linked, {"args": ["limit"]})
    assert source.endswith("return self.total_price() > limit")
    assert body_text(source, linked) == "return self.¤0() > ¢0"


def test_a_method_with_arguments_or_a_longer_slot_name_is_no_value():
    both = {"total_price": 3}
    known = brief("is_total_price_above", both, 3, selectors={"total_price": [], "price": ["item"]})
    assert link(known | {"answers": {"price": 1, "total_price": 1}}).said == "is_§0_above"


def test_what_another_object_holds_and_understands_gets_handles():
    others = {
        "till": {"slots": {"balance": 3, "owner": "Bo"}, "selectors": {"deposit": ["amount"], "open": []}}
    }
    linked = link(brief("deposit_in_till", SHOP, 3) | {"others": others})
    assert linked.said == "¤0_in_§0"
    assert "§0 till object £0 balance int £1 owner text ¤0 deposit amount\n" in dialect.brief_text(linked)
    source = parse_method("return self.§0.¤0(¢0)", linked, {"args": ["amount"]})
    assert source.endswith("return self.till.deposit(amount)")
    assert body_text(source, linked) == "return self.§0.¤0(¢0)"

    linked = link(brief("is_till_balance_above", SHOP, 3) | {"others": others})
    assert linked.said == "is_§0_£0_above" and not linked.methods
    source = parse_method("return self.§0.£0 > ¢0", linked, {"args": ["limit"]})
    assert source.endswith("return self.till.balance > limit")


def test_an_object_that_came_as_an_argument_is_told_before_the_message():
    other = {"¢0": {"slots": {"balance": 3}, "selectors": {}}}
    linked = link(brief("move_balance_to", {"balance": 9}, object(), 5) | {"others": other})
    assert "¢0 object £0 balance int\nsay move_§0_to ¢0 object ¢1 int\n" in dialect.brief_text(linked)
    body = "self.§0 -= ¢1\n¢0.put('£0', ¢0.£0 + ¢1)\nreturn self.§0"
    source = parse_method(body, linked, {"args": ["other", "amount"]})
    assert "other.put('balance', other.balance + amount)" in source
    assert body_text(source, linked) == body


def test_an_object_the_message_says_nothing_about_is_only_an_object():
    others = {"till": {"slots": {"balance": 3}, "selectors": {"deposit": ["amount"]}}}
    plain = brief("double_price", SHOP)
    assert dialect.brief_text(link(plain | {"others": others})) == dialect.brief_text(link(plain))
    assert link(brief("double_balance", SHOP) | {"others": others}).said == "double_£0"


def test_an_object_nobody_tells_of_is_only_an_object():
    plain = brief("is_till_balance_above", SHOP, 3)
    assert dialect.brief_text(link(plain)) == dialect.brief_text(link(plain | {"others": {}, "answers": {}}))
    assert "£" not in dialect.brief_text(link(plain))


def test_a_slot_that_python_cannot_name_is_not_shown():
    assert [slot.name for slot in link(brief("double_class", {"class": 1, "rank": 2})).slots] == ["rank"]


def test_trials_make_up_no_object_in_a_list_of_them():
    till = object()
    linked = link(brief("open_tills", {"tills": [till]}))
    shown = [
        each for trial in generate_trials(linked, 20, random.Random(1)) for each in trial["slots"]["tills"]
    ]
    assert shown and all(type(each) is object for each in shown)


def test_slots_in_any_alphabet_are_found():
    assert said("raise_größe", {"größe": 3}, 2) == "raise_§0"


def test_an_auditor_that_contradicts_itself_does_not_find_a_method_sound():
    text = '{"asks":"it is value","does":"it is not value","sound":true,"finding":"it does what it should"}'
    assert parse_audit(text) == {"sound": False, "finding": "asked for: it is value; done: it is not value"}
