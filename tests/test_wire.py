"""The wire: what a frame may hold, what its sender is told, and that nothing it holds can hurt."""

from __future__ import annotations

import json
import math
import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batos import wire
from batos.config import Settings
from batos.errors import BadRequest, NotUnderstood
from batos.message import Reply

LIMIT = 2**20


def read(fields, msgpack=False):
    body = msgspec.msgpack.encode(fields) if msgpack else json.dumps(fields).encode()
    return wire.decode([body], LIMIT)


@pytest.mark.parametrize("msgpack", [False, True])
def test_a_whole_message_arrives_as_it_was_sent(msgpack):
    fields = {
        "to": "shop.till", "send": "take", "args": [5, "a", None, 1.5, {"$ref": "account"}],
        "kw": {"on": [True]}, "id": "mine", "timeout": 3, "wait": False,
        "intent": "take money", "miss": "error", "idem": "k1",
        "examples": [{"args": [1], "kw": {}, "result": 2}],
    }  # fmt: skip
    request = read(fields, msgpack)
    assert request.error is None and request.id == "mine" and request.msgpack is msgpack
    for name, value in fields.items():
        assert getattr(request.message, name) == value


def test_what_is_absent_takes_its_default_and_an_id_is_made():
    one, two = read({"to": {"oid": "0x1f"}, "send": "balance"}), read({"to": "a", "send": "b"})
    assert (
        one.message.args == [] and one.message.kw == {} and one.message.timeout is None and one.message.wait
    )
    assert one.message.id and one.message.id == one.id != two.id


def test_a_number_as_id_comes_back_as_a_number():
    request = read({"to": "a", "send": "b", "id": 7})
    assert request.id == 7 and request.message.id == "7"


GOOD = {"to": "account", "send": "deposit"}
WRONG = [
    ("to", 5), ("to", ""), ("to", None), ("to", {"oid": "31"}), ("to", {"oid": 31}), ("to", {}),
    ("to", ["a"]), ("to", {"oid": "0x1f", "path": "a"}), ("send", 5), ("send", ""), ("send", None),
    ("send", ["x"]), ("args", {}), ("args", None), ("args", "5"), ("kw", []), ("kw", None), ("id", ""),
    ("id", None), ("id", True), ("id", [1]), ("id", "x" * 300), ("id", 2**70), ("timeout", 0),
    ("timeout", -1), ("timeout", "3"), ("timeout", True), ("timeout", 1e12), ("timeout", None),
    ("wait", 1), ("wait", "no"), ("intent", 3), ("intent", ""), ("miss", "perhaps"), ("miss", None),
    ("miss", []), ("idem", ""), ("idem", 5), ("idem", "k" * 300), ("examples", {}), ("examples", [5]),
    ("examples", [{"args": [1]}]), ("examples", [{"args": 1, "result": 2}]),
    ("examples", [{"kw": [], "result": 2}]), ("examples", [{"result": 2, "why": 1}]), ("stream", 1),
    ("stream", "yes"), ("at", 5), ("at", ""), ("at", "yesterday"), ("at", None), ("at", "0" * 17),
    ("dry", 1), ("dry", None), ("who", "ALFRED"), ("arg", [1]), ("To", "x"), ("", 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name}-{str(value)[:20]}" for name, value in WRONG])
def test_a_field_that_does_not_fit_is_a_bad_request_naming_it(name, value):
    for msgpack in (False, True):
        if msgpack and value == 2**70:
            continue
        request = read({**GOOD, "id": "mine", name: value}, msgpack)
        assert isinstance(request.error, BadRequest) and request.message is None
        assert repr(name) in str(request.error)
        assert request.id == "mine" or name == "id"  # the sender still learns which message it was


@pytest.mark.parametrize("msgpack", [False, True])
def test_the_past_and_a_trial_are_asked_for_in_the_message(msgpack):
    for tid in ("03fd1c2a9b7e5500", "0x3fd1c2a9b7e5500", "3FD1"):
        assert read({**GOOD, "at": tid}, msgpack).message.at == tid
    assert read({**GOOD, "dry": True}, msgpack).message.dry is True
    assert read({**GOOD, "dry": False, "idem": "k"}, msgpack).message.idem == "k"


def test_what_keeps_nothing_cannot_be_asked_to_keep_something():
    for fields, named in (
        ({"at": "3fd1", "dry": True}, "'at' and 'dry'"),
        ({"dry": True, "idem": "k"}, "'idem'"),
        ({"at": "3fd1", "idem": "k"}, "'idem'"),
        ({"dry": True, "to": "kernel", "send": "pack"}, "'dry'"),
        ({"at": "3fd1", "to": "kernel", "send": "log"}, "'at'"),
    ):
        request = read({**GOOD, **fields})
        assert isinstance(request.error, BadRequest) and named in str(request.error)


@pytest.mark.parametrize("name", ["to", "send"])
def test_a_message_without_receiver_or_selector_is_told_which_is_missing(name):
    fields = {key: value for key, value in GOOD.items() if key != name}
    assert f"{name!r} is missing" in str(read(fields).error)


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"[]", b"5", b'"text"', b"null", b"{}x", b'{"to": "a", "send": "b", "args": [NaN]}',
        b'{"to": "a", "send": "b", "args": [1e999]}', b'{"to": "a", "send": "b", "args": [Infinity]}',
        b'{"to": "\xff", "send": "b"}', b'{"to": "\\ud800", "send": "b"}', b"\xef\xbb\xbf{}", b"{'to': 'a'}",
        '{"to": "a", "send": "b"}'.encode("utf-16"), b"\x90", b"\x93\x01", b"\x81\x01\x02", b"\x81\x90\x02",
        b"\x82\xa2to\xa1a", b"\xdf\xff\xff\xff\xff", b"\x80\x80", b"\xc1", b"\x81\x80\x01", bytes(range(256)),
        b"[" * 100_000, b"\x91" * 100_000, b'{"to":' * 50_000,
    ],
)  # fmt: skip
def test_what_is_no_message_at_all_is_a_bad_request_with_a_sentence(body):
    request = wire.decode([body], LIMIT)
    assert isinstance(request.error, BadRequest) and request.id and len(str(request.error)) < 300


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_msgpack_cannot_smuggle_in_what_is_not_a_number(number):
    assert "'args'" in str(read({**GOOD, "args": [[number]]}, msgpack=True).error)
    assert read({**GOOD, "timeout": number}, msgpack=True).error


def test_msgpack_holds_the_same_kinds_as_json_and_no_more():
    for value in (b"bytes", msgspec.msgpack.Ext(5, b"x"), {1: 2}, {None: 1}):
        assert "'kw'" in str(read({**GOOD, "kw": {"deep": [value]}}, msgpack=True).error)


@pytest.mark.parametrize("msgpack", [False, True])
def test_depth_is_bounded_and_the_bound_is_the_stated_one(msgpack):
    def nested(depth):
        value = []
        for _ in range(depth - 1):
            value = [value]
        return value

    assert read({**GOOD, "args": nested(wire.MAX_DEPTH)}, msgpack).error is None
    assert "deeper" in str(read({**GOOD, "args": nested(wire.MAX_DEPTH + 1)}, msgpack).error)
    # brackets inside text are no depth
    assert read({**GOOD, "args": ["[" * 500]}, msgpack).error is None


def test_a_message_over_the_limit_is_too_large_and_one_at_it_is_not():
    body = json.dumps({**GOOD, "args": ["x" * 100]}).encode()
    assert wire.decode([body], len(body)).error is None
    assert wire.decode([body], len(body) - 1).error.code == "too_large"
    for msgpack in (False, True):
        assert read({**GOOD, "args": ["x" * LIMIT], "id": "mine"}, msgpack).id == "mine"
        assert read({**GOOD, "args": ["x" * LIMIT]}, msgpack).id
    assert wire.decode([b"{" * LIMIT * 2], LIMIT).id and wire.decode([b"x" * LIMIT, b"y"], LIMIT).id
    crowd = json.dumps({**GOOD, "args": [[]] * (wire.MAX_NODES + 1)}).encode()
    assert wire.decode([crowd], 2**24).error.code == "too_large"


def test_the_envelope_ends_at_the_first_empty_frame():
    assert wire.split([b"who", b"body"]) == ([b"who"], [b"body"])  # DEALER
    assert wire.split([b"who", b"", b"body"]) == ([b"who", b""], [b"body"])  # REQ
    assert wire.split([b"who", b"n1", b"", b"body"]) == ([b"who", b"n1", b""], [b"body"])  # REQ_CORRELATE
    assert wire.split([b"who", b"", b"", b"body"]) == ([b"who", b""], [b"", b"body"])
    assert wire.split([b"who", b"a", b"b"]) == ([b"who"], [b"a", b"b"])
    for rest in ([], [b"", b"body"], [b"a", b"b"]):
        assert isinstance(wire.decode(rest, LIMIT).error, BadRequest)


@pytest.mark.parametrize("msgpack", [False, True])
def test_a_reply_holds_result_or_error_and_only_what_says_something(msgpack):
    def sent(reply):
        return (msgspec.msgpack if msgpack else msgspec.json).decode(wire.encode(reply, msgpack))

    assert sent(Reply("i", None)) == {"id": "i", "result": None}
    assert sent(Reply("i", 5, tid="ab", mission="m-1", replayed=True)) == {
        "id": "i", "result": 5, "tid": "ab", "mission": "m-1", "replayed": True,
    }  # fmt: skip
    assert sent(Reply("i", 5, changes=[])) == {"id": "i", "result": 5, "changes": []}
    error = sent(Reply("i", error=NotUnderstood("no", near=["deposit"])))["error"]
    assert error == {"code": "not_understood", "message": "no", "retryable": False, "near": ["deposit"]}


def test_a_result_that_cannot_be_written_is_told_rather_than_lost():
    for msgpack in (False, True):
        told = wire.encode(Reply("i", object(), tid="ab"), msgpack)
        told = (msgspec.msgpack if msgpack else msgspec.json).decode(told)
        assert told["error"]["code"] == "internal" and told["tid"] == "ab"
    assert json.loads(wire.encode(Reply("i", "\ud800"), False))["error"]["code"] == "internal"


def test_numbers_of_any_size_travel_in_json_and_as_text_in_msgpack():
    assert json.loads(wire.encode(Reply("i", [2**100]), False))["result"] == [2**100]
    assert msgspec.msgpack.decode(wire.encode(Reply("i", [2**100, 1]), True))["result"] == [str(2**100), 1]
    assert read({**GOOD, "args": [2**100]}).message.args == [2**100]


def test_describe_states_every_field_that_is_served_and_every_limit():
    told = wire.describe(Settings())
    assert json.loads(json.dumps(told)) == told
    assert {row["field"] for row in told["request"]} == set(wire.FIELDS)
    assert {"state", "tokens", "progress"} <= set(told["events"]) and "changes" in told["reply"]
    assert (
        told["limits"]["frame_bytes"] == Settings().max_frame_bytes
        and told["limits"]["depth"] == wire.MAX_DEPTH
    )
    assert "internal" in told["codes"]


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(
    args=st.lists(plain, max_size=4), kw=st.dictionaries(st.text(), plain, max_size=3), msgpack=st.booleans()
)
def test_plain_arguments_arrive_unchanged_in_both_encodings(args, kw, msgpack):
    request = read({**GOOD, "args": args, "kw": kw}, msgpack)
    assert request.error is None and request.message.args == args and request.message.kw == kw


def test_ten_thousand_random_frames_are_all_answered_calmly():
    chance = random.Random(5)
    seeds = [
        json.dumps({**GOOD, "args": [1, "a"], "id": "x"}).encode(),
        msgspec.msgpack.encode({**GOOD, "kw": {"a": 1.5}}),
    ]
    for _ in range(10_000):
        body = bytearray(
            chance.choice(seeds) if chance.random() < 0.8 else chance.randbytes(chance.randrange(60))
        )
        for _ in range(chance.randrange(4)):
            if body:
                body[chance.randrange(len(body))] = chance.randrange(256)
        request = wire.decode([bytes(body)], LIMIT)
        assert (request.message is None) != (request.error is None)
        assert wire.encode(Reply(request.id, None, request.error), request.msgpack)
