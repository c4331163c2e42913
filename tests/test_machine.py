"""The table of states, and the council's arithmetic: pure, so every row is tried."""

from __future__ import annotations

import itertools

import pytest

from batos.psm import council, machine


@pytest.mark.parametrize(("state", "event"), list(itertools.product(machine.STATES, sorted(machine.EVENTS))))
def test_every_state_and_event_has_a_row_or_is_refused(state, event):
    if event == "gave_up" and state not in machine.FINAL:
        assert machine.after(state, event) == machine.FAILED
    elif (state, event) in machine.TRANSITIONS:
        assert machine.after(state, event) in machine.STATES
    else:
        with pytest.raises(machine.IllegalTransition, match=state):
            machine.after(state, event)


def test_nothing_follows_a_final_state_and_every_state_is_reached():
    assert not {state for state, _ in machine.TRANSITIONS} & machine.FINAL
    assert {*machine.TRANSITIONS.values(), machine.IDLE, machine.FAILED} == set(machine.STATES)


def ran(result, changes=None):
    return {"result": result, "changes": changes or {}}


def test_drafts_that_do_the_same_everywhere_are_one_cluster_however_they_read():
    outcomes = [[ran(1), ran(2)], [ran(1), ran(2)], [ran(1), ran(3)], [{"unknown": "it missed"}, ran(2)]]
    found = council.clusters(outcomes, [1, 1, 1, 1])
    assert [cluster.drafts for cluster in found] == [[0, 1], [2]]


def test_the_same_error_is_the_same_behaviour_whatever_its_words():
    outcomes = [
        [{"error": "ValueError", "message": "no", "changes": {}}],
        [{"error": "ValueError", "message": "never", "changes": {}}],
    ]
    assert len(council.clusters(outcomes, [1, 1])) == 1


def test_an_unknown_trial_agrees_with_anything_but_not_as_the_actual_message():
    found = council.clusters([[ran(1), {"unknown": "outside"}], [ran(1), ran(2)]], [1, 1])
    assert [cluster.drafts for cluster in found] == [[0, 1]]


@pytest.mark.parametrize(
    ("plan", "outcome", "objection"),
    [
        ({"kind": "read"}, ran(1, {"balance": 2}), "a reader that changes"),
        ({"kind": "ask"}, ran(1), "no truth value"),
        ({"kind": "change"}, ran(1), "changes nothing"),
        (
            {"kind": "change"},
            {"error": "ValueError", "message": "no", "changes": {"balance": 1}},
            "raises after",
        ),
        ({"kind": "read"}, {"error": "NameError", "message": "no", "changes": {}}, "raises NameError"),
    ],
)
def test_what_breaks_a_convention_is_objected_to(plan, outcome, objection):
    (cluster,) = council.clusters([[outcome]], [1])
    council.object_to(cluster, plan, [{"balance": 5}], {})
    assert any(objection in each for each in cluster.objections)
    assert council.winner([cluster])[0] is None


def test_a_persons_example_outweighs_any_majority():
    found = council.clusters([[ran(1), ran(9)]] * 4 + [[ran(1), ran(2)]], [1] * 5)
    for cluster in found:
        council.object_to(cluster, {"kind": "read"}, [{}, {}], {1: {"result": 2}})
    best, _ = council.winner(found)
    assert best is None, "the four agree on what the example contradicts, the one alone is no majority"


def test_an_unsound_finding_stops_a_majority_unless_a_persons_example_came_out():
    unsound = {"sound": False, "finding": "it adds"}
    (cluster,) = council.clusters([[ran(1), ran(2)]], [5])
    council.object_to(cluster, {"kind": "read"}, [{}, {}], {}, unsound)
    best, why = council.winner([cluster])
    assert best is None and "it adds" in why
    (cluster,) = council.clusters([[ran(1), ran(2)]], [5])
    council.object_to(cluster, {"kind": "read"}, [{}, {}], {1: {"result": 2}}, unsound)
    assert council.winner([cluster])[0] is cluster


def test_a_changer_that_could_never_change_is_not_held_against_it():
    (cluster,) = council.clusters([[{"error": "KeyError", "message": "", "changes": {}}]], [5])
    council.object_to(cluster, {"kind": "change"}, [{}], {})
    assert council.winner([cluster])[0] is cluster


def test_a_changer_that_had_nothing_to_change_answers_the_value_or_the_size_as_it_is():
    for result, state in ((0, {"names": []}), ("anna", {"name": "anna"}), (2, {"seen": {"$set": [1, 2]}})):
        (cluster,) = council.clusters([[ran(result)]], [5])
        council.object_to(cluster, {"kind": "change"}, [state], {})
        assert council.winner([cluster])[0] is cluster, state


def test_only_a_clear_majority_wins():
    found = council.clusters([[ran(1)], [ran(1)], [ran(2)], [ran(3)]], [1, 1, 1, 1])
    assert council.winner(found)[0] is None
    found = council.clusters([[ran(1)], [ran(1)], [ran(1)], [ran(3)]], [1, 1, 1, 1])
    best, why = council.winner(found)
    assert best.drafts == [0, 1, 2] and "3 of 4" in why
