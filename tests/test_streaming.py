"""What is told before the answer: the states of a mission, and the text of its drafts as it is written."""

from __future__ import annotations

import threading

import pytest
from scripted import plan, sender

from batos.message import Message


@pytest.fixture
def send(system, mind):
    send = sender(system)
    send("lobby", "clone", called="account", balance=100)
    mind.enqueue(
        plan=plan("change"),
        method="if ¢0 > self.§0:\n    raise ValueError('too much')\nself.§0 -= ¢0\nreturn self.§0",
    )
    return send


def states(heard):
    return [each["state"] for each in heard if each["event"] == "state"]


def ask(system, *args, **fields):
    heard = []
    return system.kernel.submit(Message("account", "withdraw_balance", list(args), **fields), heard.append), heard


def test_a_mission_tells_its_states_in_order_and_the_text_of_its_drafts_before_the_answer(system, send, mind):
    future, heard = ask(system, 30)
    reply = future.result(20)
    assert reply.result == 70
    assert states(heard) == ["IDLE", "DECOMPOSING", "DELEGATING", "SYNTHESIZING", "COMPLETE"]
    assert {each["mission"] for each in heard} == {reply.mission}
    at = [each.get("state") for each in heard]
    planned = "".join(e["text"] for e in heard[: at.index("DELEGATING")] if e["event"] == "tokens" and not e["draft"])
    assert planned == mind.answers["plan"]
    drafted = heard[at.index("DELEGATING") : at.index("SYNTHESIZING")]
    assert {each["draft"] for each in drafted if each["event"] == "tokens"} == {0, 1, 2, 3, 4}
    assert all(each["text"] == mind.answers["method"] for each in drafted if each["event"] == "tokens")


def test_what_is_understood_tells_nothing(system, send):
    ask(system, 30)[0].result(20)
    future, heard = ask(system, 30)
    assert (future.result(20).result, heard) == (40, [])


def test_who_joins_a_mission_hears_the_state_it_is_in_and_then_the_rest(system, send, mind):
    mind.gate.clear()
    first, early = ask(system, 1)
    mind.thinking.wait(5)
    second, late = ask(system, 2)
    deaf = system.kernel.submit(Message("account", "withdraw_balance", [3]))
    while len(late) == 0:
        pass
    mind.gate.set()
    assert {each.result(20).mission for each in (first, second, deaf)} == {early[0]["mission"]}
    assert states(early)[0] == "IDLE" and states(late) == states(early)[1:]


def test_a_listener_that_breaks_is_left_alone_and_the_mission_goes_on(system, send):
    def breaks(event):
        raise ConnectionError("nobody there")

    message = Message("account", "withdraw_balance", [30])
    assert system.kernel.send(message, breaks).result == 70


def test_a_mission_that_is_cancelled_says_so_last(system, send, mind):
    mind.gate.clear()
    future, heard = ask(system, 30)
    mind.thinking.wait(5)
    assert system.kernel.cancel(heard[0]["mission"])
    assert future.result(20).error.code == "cancelled" and states(heard)[-1] == "FAILED"


def test_the_experts_of_the_states_ahead_are_fetched_once_there_is_a_plan(system, send, mind):
    ask(system, 30)[0].result(20)
    assert mind.prefetched == ["BRICK", "ALFRED", "ROBIN"]
    send("psm_prototypes_obj.SYNTHESIZING", "put", "teller", None)  # what a person edits counts
    send("account", "deposit_balance", 30)
    assert mind.prefetched == ["BRICK", "ALFRED", "ROBIN", "BRICK", "ALFRED"]


def test_over_the_door_the_embedded_mind_tells_its_tokens_as_it_writes_them(awake):
    heard, threads = [], set()

    def tell(event):
        heard.append(event)
        threads.add(threading.get_ident())

    with awake.client() as client:
        client.send("lobby", "clone", called="streamed", marbles=12)
        assert client.send("streamed", "increase_marbles", 3, tell=tell) == 15
        source = client.send("streamed", "source", "increase_marbles")
    assert [each["seq"] for each in heard] == list(range(len(heard)))
    assert states(heard)[-1] == "COMPLETE" and threads == {threading.get_ident()}
    written = [each for each in heard if each["event"] == "tokens"]
    assert len(written) > 40  # token by token, not all at the end
    assert "marbles" in source and any("self." in each["text"] or "§" in each["text"] for each in written)
