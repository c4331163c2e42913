"""A person keeps the last word: methods that wait for it, and thought that rests."""

from __future__ import annotations

import os
import sys
import threading

import pytest
from scripted import ScriptedMind, plan, sender

from batos.app import System
from batos.config import Settings
from batos.psm import review


@pytest.fixture
def living(image_dir):
    systems = []

    def awaken(**settings):
        mind = ScriptedMind()
        mind.enqueue(plan=plan("change"), method="self.§0 -= ¢0\nreturn self.§0")
        systems.append(System(Settings(image=image_dir, heartbeat=False, **settings), mind))
        send = sender(systems[-1])
        if send("account", "balance").error is not None:
            send("lobby", "clone", called="account", balance=100)
        return systems[-1], send

    yield awaken
    for each in systems:
        each.close()


def test_in_review_a_method_waits_for_a_word_and_is_installed_by_it(living):
    _, send = living(review=True)
    error = send("account", "lower_balance", 30).error
    assert error.code == "mission_failed"
    assert "waits for your word" in str(error)
    assert send("account", "balance").result == 100
    assert "lower_balance" not in send("account", "selectors").result["own"]
    told = send("kernel", "accept", error.mission).result
    assert (told["to"], told["send"]) == ("account", "lower_balance")
    assert send("account", "lower_balance", 30).result == 70
    assert send("account", "versions", "lower_balance").result[0]["mission"] == error.mission
    assert send("kernel", "accept", error.mission).error.code == "no_such_object"


def test_a_proposal_is_not_installed_over_what_has_been_learned_meanwhile(living):
    _, send = living(review=True)
    mission = send("account", "lower_balance", 30).error.mission
    send("account", "define", "def lower_balance(self, n):\n    return n\n")
    assert send("kernel", "accept", mission).error.code == "conflict"
    assert send("account", "lower_balance", 5).result == 5


def test_thought_can_be_paused_and_stays_so_after_a_restart(living):
    system, send = living()
    send("kernel", "pause", "the fan is too loud")
    error = send("account", "lower_balance", 30).error
    assert error.code == "busy"
    assert "the fan is too loud" in str(error)
    system.close()
    system, send = living()
    assert send("account", "lower_balance", 30).error.code == "busy"
    assert system.mind.calls == 0
    send("kernel", "resume")
    assert send("account", "lower_balance", 30).result == 70


def test_without_missions_a_miss_is_told_and_nobody_thinks(living):
    system, send = living(missions=False)
    assert send("account", "lower_balance", 30, miss="mission").error.code == "not_understood"
    assert system.mind.calls == 0


@pytest.mark.parametrize(
    ("supplies", "battery"),
    [({}, False), ({"AC": ("Mains", "1"), "BAT0": ("Battery", None)}, False), ({"AC": ("Mains", "0")}, True),
     ({"AC": ("Mains", "0"), "usb": ("USB", "1")}, False), ({"BAT0": ("Battery", None)}, False)],
)  # fmt: skip
def test_a_laptop_off_its_mains_is_known_by_its_supplies(tmp_path, supplies, battery):
    for name, (kind, online) in supplies.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "type").write_text(kind + "\n")
        if online is not None:
            (tmp_path / name / "online").write_text(online + "\n")
    assert review.on_battery(tmp_path) is battery


def test_off_the_mains_thought_rests_and_says_what_helps_until_it_is_plugged_in(living, tmp_path, monkeypatch):
    monkeypatch.setattr(review, "SUPPLIES", tmp_path)
    mains = tmp_path / "AC"
    mains.mkdir()
    (mains / "type").write_text("Mains\n")
    (mains / "online").write_text("0\n")
    system, send = living(pause_on_battery=True)
    error = send("account", "lower_balance", 30).error
    assert (error.code, system.mind.calls) == ("busy", 0)
    assert "battery" in str(error) and "plug it in" in error.hint
    assert send("account", "balance").result == 100, "what is understood needs no thought"
    (mains / "online").write_text("1\n")
    assert send("account", "lower_balance", 30).result == 70


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows the niceness of a thread")
def test_thought_can_be_nice_while_everything_else_keeps_its_place(living):
    system, send = living(mission_nice=7)
    levels, generate = [], system.missions._generate

    def thought(*given, **more):
        levels.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return generate(*given, **more)

    system.missions._generate = thought
    assert send("account", "lower_balance", 30).result == 70
    here = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert set(levels) == {max(here, 7)}
    native = system.image._thread.native_id
    assert os.getpriority(os.PRIO_PROCESS, native) == here, "whoever is understood waits for no niceness"
