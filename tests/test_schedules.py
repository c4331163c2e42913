"""Schedules of clients and faults: the suite runs a few; `python -m scripts.proving.schedules` runs ten thousand."""

from __future__ import annotations

import pytest

from batos.kernel import Kernel
from batos.psm.orchestrator import Orchestrator
from scripts.proving import schedules

SEED = 20261121


def test_a_few_schedules_leave_no_stuck_client_no_leak_and_the_right_world():
    proof = schedules.prove(60, SEED)
    assert proof.faults == []
    assert proof.counts["schedules"] == 63
    assert proof.counts["methods learned"] > 30, "they have to come as far as learning"
    assert sum(proof.broken_at.values()) > 30, "they have to break"
    assert proof.counts["answered: a result"] > 100
    assert proof.counts["answered: mission_failed"] > 20


def told_twice(monkeypatch):
    tell = Kernel._learned

    def learned(self, waiter, mission):
        tell(self, waiter, mission)
        waiter.answered = False
        tell(self, waiter, mission)

    monkeypatch.setattr(Kernel, "_learned", learned)
    return "the balance is"


def never_let_go(monkeypatch):
    monkeypatch.setattr(Orchestrator, "_let_go", lambda self, mission: None)
    return "left among the pending missions"


def never_told(monkeypatch):
    monkeypatch.setattr(Orchestrator, "_tell", lambda self, mission: self._callbacks.pop(mission.id, None))
    return "was never answered"


@pytest.mark.parametrize("breaks", [told_twice, never_let_go, never_told])
def test_what_they_look_for_is_found_where_it_is(monkeypatch, breaks, capsys):
    monkeypatch.setattr(schedules, "PATIENCE", 0.5)
    words = breaks(monkeypatch)
    assert any(words in each for each in schedules.prove(4, SEED).faults)


def test_a_schedule_is_the_same_one_for_the_same_seed(tmp_path):
    proof = schedules.Schedules(tmp_path, SEED)
    try:
        assert proof.drawn(5) == proof.drawn(5)
        assert proof.drawn(5) != proof.drawn(6)
    finally:
        proof.close()
