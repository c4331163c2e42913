"""The heartbeat: a night in milliseconds, a report with the right numbers, nothing twice, nothing lost."""

from __future__ import annotations

import itertools
import math
import random
import threading
from datetime import UTC, datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from batos.autotelic import Heartbeat, Metrics, Schedule, audits, metrics
from batos.config import Settings
from batos.errors import BadRequest, Busy
from batos.image import LivingImage
from batos.objects.genesis import genesis
from batos.objects.lookup import send

NIGHT = datetime(2026, 5, 1, 22, 0, tzinfo=UTC).timestamp()
SETTINGS = Settings(heartbeat_delay=300.0, heartbeat_cron="30 3 * * *")


def open_image(directory) -> LivingImage:
    return LivingImage.open(
        directory, SETTINGS, birth=lambda root: genesis(root, [metrics.system_metrics, audits.alfred_part])
    )


@pytest.fixture
def image(tmp_path):
    with open_image(tmp_path / "image") as opened:
        yield opened


class FakeClock:
    """Time passes when somebody waits; `until` ends the world."""

    def __init__(self, now: float, until: float):
        self.time, self.until = now, until

    def now(self) -> float:
        return self.time

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.time += seconds
        if self.time >= self.until:
            event.set()
        return event.is_set()


def beats(image, clock: FakeClock, audit=None) -> tuple[Heartbeat, list[float]]:
    """Let the heart beat to the end of the world; the times at which it audited."""
    times: list[float] = []
    heart = Heartbeat(clock, image, audit or (lambda: times.append(clock.now())), SETTINGS)
    heart._schedule = Schedule(SETTINGS.heartbeat_cron, SETTINGS.heartbeat_delay, UTC)
    heart.beat()
    return heart, times


def at(day: int, hour: int, minute: int) -> float:
    return datetime(2026, 5, day, hour, minute, tzinfo=UTC).timestamp()


# -- time ---------------------------------------------------------------------------------------------


def test_a_week_of_nights_passes_at_once(image):
    heart, times = beats(image, FakeClock(NIGHT, NIGHT + 7 * 86400))
    assert times == [NIGHT + 300, *(at(day, 3, 30) for day in range(2, 9))]
    assert heart.facts()["performed"] == 8 and heart.next_due() == at(9, 3, 30)


def test_the_due_time_survives_a_restart_and_no_night_comes_twice(tmp_path):
    with open_image(tmp_path / "image") as image:
        assert beats(image, FakeClock(NIGHT, at(2, 4, 0)))[1] == [NIGHT + 300, at(2, 3, 30)]
    with open_image(tmp_path / "image") as image:
        assert beats(image, FakeClock(at(2, 5, 0), at(3, 4, 0)))[1] == [at(3, 3, 30)]


def test_what_fell_due_while_it_slept_is_made_up_for_once_after_the_delay(tmp_path):
    with open_image(tmp_path / "image") as image:
        beats(image, FakeClock(NIGHT, at(2, 4, 0)))
    with open_image(tmp_path / "image") as image:
        assert beats(image, FakeClock(at(6, 12, 0), at(6, 23, 0)))[1] == [at(6, 12, 5)]


def test_a_loop_of_restarts_audits_nothing(tmp_path):
    for n in range(5):
        with open_image(tmp_path / "image") as image:
            assert beats(image, FakeClock(NIGHT + n * 60, NIGHT + n * 60 + 59))[1] == []


def test_an_audit_that_is_not_welcome_is_skipped_until_the_next_time(image):
    def busy():
        raise Busy("missions are running")

    heart, _ = beats(image, FakeClock(NIGHT, at(3, 4, 0)), busy)
    assert (heart.skipped, heart.performed, heart.failed) == (3, 0, 0)


def test_an_audit_that_fails_does_not_stop_the_heart(image):
    calls = []

    def fails():
        calls.append(1)
        raise RuntimeError("the mind is gone")

    heart, _ = beats(image, FakeClock(NIGHT, at(3, 4, 0)), fails)
    assert (heart.failed, len(calls)) == (3, 3)


def test_what_cannot_wait_for_the_night_is_done_every_minute_and_its_failure_stops_nothing(image):
    clock, minutes = FakeClock(NIGHT, at(2, 4, 0)), []

    def by_day():
        minutes.append(clock.now())
        raise RuntimeError("once more")

    audits = []
    heart = Heartbeat(clock, image, lambda: audits.append(clock.now()), SETTINGS, by_day=by_day)
    heart._schedule = Schedule(SETTINGS.heartbeat_cron, SETTINGS.heartbeat_delay, UTC)
    heart.beat()
    assert audits == [NIGHT + 300, at(2, 3, 30)]
    assert len(minutes) > 350 and max(b - a for a, b in itertools.pairwise(minutes)) == 60


def test_never_two_at_once(image):
    begun, go_on = threading.Event(), threading.Event()

    def slow():
        begun.set()
        assert go_on.wait(10)
        return "done"

    heart = Heartbeat(FakeClock(NIGHT, NIGHT), image, slow, SETTINGS)
    told = []
    first = threading.Thread(target=lambda: told.append(heart.run_now()))
    first.start()
    assert begun.wait(10)
    with pytest.raises(Busy, match="running already"):
        heart.run_now()
    go_on.set()
    first.join()
    assert told == ["done"] and heart.run_now() == "done"


def test_a_beating_heart_stops_at_once(image):
    from batos.autotelic import Clock

    heart = Heartbeat(Clock(), image, lambda: None, SETTINGS)
    heart.start()
    heart.stop(5)
    assert not heart._thread.is_alive()


def test_a_night_with_a_change_of_clocks_has_one_audit():
    zone = ZoneInfo("Europe/Berlin")
    schedule = Schedule("30 2 * * *", 0, zone)
    for month, day in ((3, 28), (10, 24)):
        now, found = datetime(2026, month, day, 12, tzinfo=zone).timestamp(), []
        for _ in range(3):
            now = schedule.after(now)
            found.append(datetime.fromtimestamp(now, zone).day)
        assert found == [day + 1, day + 2, day + 3]


def test_a_cron_expression_that_means_nothing_is_told_at_once():
    with pytest.raises(BadRequest, match="heartbeat_cron"):
        Schedule("every night", 0)


# -- metrics --------------------------------------------------------------------------------------------


def test_events_are_typed_and_can_be_asked_for(image):
    noted = Metrics(clock=lambda: 50.0)
    noted.note("lora_swap_latencies", ms=2.5, expert="BRICK", tier="warm")
    noted.note("psm_transitions", old="IDLE", new="DECOMPOSING", mission="m1")
    noted.note("vram", used=10, budget=20)
    for _ in range(3):
        noted.tally("transaction_commits")
    assert noted.pending == 4 and noted.flush_into(image) == 4 and noted.pending == 0

    def story(root):
        assert metrics.events(root, "lora_swap_latencies") == [
            {"time": 50.0, "ms": 2.5, "expert": "BRICK", "tier": "warm"}
        ]
        assert metrics.events(root, "transaction_commits") == [{"time": 50.0, "count": 3}]
        assert metrics.events(root, "vram", since=51.0) == []
        metrics.record(root, "guardian_verdicts", verdict="refused", rule="import")
        obj = root["system_metrics_obj"]
        assert send(obj, "events", ("guardian_verdicts",), {})[0]["rule"] == "import"
        assert "ms" in send(obj, "kinds", (), {})["psm_cycle_durations"]

    image.run("story", story)


@pytest.mark.parametrize(
    "kind, numbers",
    [
        ("no_such_kind", {}),
        ("vram", {"used": 1}),
        ("vram", {"used": 1, "budget": "2"}),
        ("vram", {"used": 1, "budget": 2, "colour": 3}),
        ("lora_swap_latencies", {"ms": True, "expert": "BRICK"}),
    ],
)
def test_an_event_that_no_query_would_understand_is_refused(kind, numbers):
    with pytest.raises(ValueError):
        Metrics().note(kind, **numbers)


def test_a_ring_keeps_the_last_events_and_no_more(image, monkeypatch):
    monkeypatch.setattr(metrics, "KEPT", 100)
    noted = Metrics()
    for batch in range(5):
        for n in range(70):
            noted.note("vram", used=batch * 70 + n, budget=1)
        noted.flush_into(image)
    kept = image.run("look", lambda root: metrics.events(root, "vram"))
    assert [each["used"] for each in kept] == list(range(250, 350))
    assert image.run("look", lambda root: metrics.events(root, "vram", last=2)) == kept[-2:]


def test_events_whose_turn_fails_are_kept_for_the_next(image, monkeypatch):
    noted = Metrics()
    noted.note("vram", used=1, budget=2)
    noted.tally("transaction_aborts", 4)
    whole = metrics.write
    monkeypatch.setattr(metrics, "write", lambda root, batch: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        noted.flush_into(image)
    monkeypatch.setattr(metrics, "write", whole)
    noted.note("vram", used=2, budget=2)
    assert noted.flush_into(image) == 3
    assert [each["used"] for each in image.run("look", lambda root: metrics.events(root, "vram"))] == [1, 2]


def test_threads_note_side_by_side_and_nothing_is_lost(image):
    noted = Metrics()

    def work():
        for _ in range(500):
            noted.note("vram", used=1, budget=2)
            noted.tally("transaction_commits")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    noted.flush_into(image)
    assert len(image.run("look", lambda root: metrics.events(root, "vram"))) == 2000
    assert image.run("look", lambda root: metrics.events(root, "transaction_commits"))[0]["count"] == 2000


# -- the audit --------------------------------------------------------------------------------------------


def lived_through(noted: Metrics, seed: int = 1) -> list[float]:
    """A day with slow missions, refusals, aborts and two experts that thrash; the missions' durations."""
    draw = random.Random(seed)
    durations = [draw.expovariate(1 / 2500) for _ in range(137)]
    for n, ms in enumerate(durations):
        noted.note("psm_cycle_durations", ms=ms, outcome="failed" if n % 10 == 0 else "complete")
    for n in range(40):
        noted.note("lora_swap_latencies", ms=1500.0 + n, expert="ROBIN" if n % 2 else "BRICK", tier="cold")
    for n in range(9):
        noted.note(
            "guardian_verdicts",
            verdict="refused" if n < 3 else "accepted",
            rule="import" if n < 2 else "loop",
        )
    noted.tally("transaction_commits", 90)
    noted.tally("transaction_aborts", 10)
    return durations


def test_a_report_has_the_numbers_of_an_independent_computation(image):
    noted = Metrics(clock=lambda: NIGHT - 60)
    durations = lived_through(noted)
    report = audits.perform(image, SETTINGS, noted, now=NIGHT)
    found = {(each["rule"], each["what"].split()[0]): each for each in report["findings"]}
    # Nearest rank: the least duration that at least 95 % of all do not exceed, by counting.
    p95 = min(
        d for d in durations if Fraction(sum(e <= d for e in durations), len(durations)) >= Fraction(95, 100)
    )
    assert p95 > SETTINGS.audit_mission_ms
    assert found["slow_missions", "one"]["measured"] == report["measured"]["mission_ms_p95"] == p95
    assert found["slow_swaps", "BRICK"]["measured"] == pytest.approx(math.fsum(range(1500, 1540, 2)) / 20)
    assert found["slow_swaps", "ROBIN"]["measured"] == pytest.approx(math.fsum(range(1501, 1541, 2)) / 20)
    assert found["refused_methods", "the"]["measured"] == 3
    assert report["measured"]["refused_by_rule"] == {"import": 2, "loop": 1}
    assert found["aborted_transactions", "10"]["measured"] == 0.1
    assert report["measured"]["missions_failed"] == sum(n % 10 == 0 for n in range(137))


def test_two_experts_that_push_each_other_out_are_found_and_one_round_of_four_is_not(image):
    noted = Metrics(clock=lambda: NIGHT - 60)
    for _ in range(30):
        for expert in ("BRICK", "ROBIN"):
            noted.note("lora_swap_latencies", ms=4.0, expert=expert, tier="warm")
    report = audits.perform(image, SETTINGS, noted, now=NIGHT)
    (thrashing,) = report["findings"]
    assert (
        thrashing["rule"] == "thrashing_experts" and thrashing["measured"] == 58 and thrashing["events"] == 60
    )
    assert "BRICK and ROBIN" in thrashing["what"] and "hot_slots" in thrashing["remedy"]
    calm = [{"expert": name, "ms": 4.0, "time": n} for n, name in enumerate("ABCDEFGH" * 5)]
    assert audits.findings(audits.measure({"lora_swap_latencies": calm}), SETTINGS) == []


def test_a_quiet_day_has_no_findings_and_says_so(image):
    report = audits.perform(image, SETTINGS, Metrics(), now=NIGHT)
    assert report["findings"] == [] and "Nothing crosses a threshold" in report["text"]
    assert report["measured"]["mission_ms_p95"] is None and "p95 unknown" in report["text"]


def test_only_the_last_day_counts(image):
    noted = Metrics(clock=lambda: NIGHT - 25 * 3600)
    lived_through(noted)
    assert audits.perform(image, SETTINGS, noted, now=NIGHT)["findings"] == []


@pytest.mark.parametrize("count", [1, 2, 19, 20, 21, 100, 137])
def test_the_percentile_is_the_nearest_rank(count):
    values = [random.Random(count).random() for _ in range(count)]
    for percent in (50, 55, 95, 100):
        ranked = sorted(values)
        expected = next(v for n, v in enumerate(ranked, 1) if Fraction(n, count) >= Fraction(percent, 100))
        assert audits.percentile(values, percent / 100) == expected


def test_the_report_is_kept_as_an_object_and_survives_with_its_predecessors(tmp_path, monkeypatch):
    monkeypatch.setattr(audits, "AUDITS_KEPT", 3)
    with open_image(tmp_path / "image") as image:
        noted = Metrics(clock=lambda: NIGHT - 60)
        lived_through(noted)
        for n in range(5):
            report = audits.perform(
                image, SETTINGS, noted, now=NIGHT + n, voice=lambda found: f"{len(found)} things."
            )
    with open_image(tmp_path / "image") as image:
        last = image.run("audit --last", audits.last)
        assert last == report and "ALFRED: " in last["text"]
        assert "- thrashing_experts: " in last["text"] and "Remedy: " in last["text"]
        kept = image.run("look", lambda root: [each.time for each in root["alfred_prototype_obj"].audits])
        assert kept == [NIGHT + 2, NIGHT + 3, NIGHT + 4]


def test_there_is_no_last_audit_before_the_first(image):
    assert image.run("audit --last", audits.last) is None
