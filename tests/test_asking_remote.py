"""`ask` with a mind on a server, from the kernel's door to the server's socket: words as they come, money, the breaker."""

from __future__ import annotations

import pytest
from openai_server import OpenAiServer
from scripted import sender

from batos.app import System
from batos.config import Settings
from batos.knowledge import LexicalEmbedder
from batos.message import Message
from batos.mind.engine import Draft


class Chat:
    """What the server thinks with: it says the same to everything, word by word."""

    words = "It was planted in 1931 [1]."

    def generate(self, prompts, expert, grammar, limits, cancel=None, tell=None):
        for word in self.words.split(" "):
            if tell is not None:
                tell(0, word + " ")
        return [Draft(self.words, tuple(range(len(self.words.split()))), -0.1, "stop")]


@pytest.fixture
def server():
    server = OpenAiServer(Chat(), "chatty", [])
    yield server
    server.close()


class House:
    """An image whose mind is on the server; `restart` puts it to sleep and awakens it again."""

    def __init__(self, image_dir, server):
        self._settings = Settings(
            image=image_dir, heartbeat=False, mind_url=server.url, mind_usd_read=1.0, mind_usd_written=10.0
        )
        self.awaken()

    def awaken(self):
        self.system = System(self._settings)
        self.system.memory.embedder = LexicalEmbedder()
        self.send = sender(self.system)

    def restart(self):
        self.system.close()
        self.awaken()

    def ask(self, text, heard=None):
        message = Message("kernel", "ask", [text], stream=heard is not None)
        reply = self.system.kernel.submit(message, heard.append if heard is not None else None).result(30)
        assert reply.error is None, reply.error
        return reply.result


@pytest.fixture
def house(image_dir, server, monkeypatch):
    monkeypatch.setattr("batos.mind.remote.ATTEMPTS", 1)
    house = House(image_dir, server)
    house.send("lobby", "clone", called="tree", planted=1931)
    yield house
    house.system.close()


def test_the_words_of_a_server_are_told_as_they_come_and_its_tokens_are_entered_in_the_ledger(house, server):
    heard = []
    told = house.ask("When was the tree planted, roughly?", heard)
    assert told["answer"] == "It was planted in 1931 [1]."
    assert told["sources"] == [told["sources"][0] | {"object": "tree", "slot": None}]
    words = "".join(each["text"] for each in heard if each["event"] == "tokens")
    assert words.strip() == told["answer"]
    path, body = server.asked[-1]
    read = sum(len(each["content"].split()) for each in body["messages"])
    assert path == "/chat/completions"
    assert read <= told["cost"]["tokens"] - 6 <= read + len(body["messages"])
    kept = house.send("kernel", "budget").result
    assert kept["today"]["usd"] == pytest.approx(((told["cost"]["tokens"] - 6) * 1 + 6 * 10) / 1e6)
    assert kept["usd_a_million_tokens"] == {"read": 1.0, "written": 10.0}
    assert kept["reserved"] == 0


def test_the_codex_of_the_voice_is_the_one_that_was_edited(house, server):
    house.send("robin_prototype_obj", "put", "codex", "Speak like a gardener.")
    house.ask("When was the tree planted, roughly?")
    system_words = [each["content"] for each in server.asked[-1][1]["messages"] if each["role"] == "system"]
    assert len(system_words) == 1
    assert "Speak like a gardener." in system_words[0]


def test_what_a_mind_was_shown_is_looked_up_by_the_answers_id(house, server):
    told = house.ask("When was the tree planted, roughly?")
    events = house.send("kernel", "context", told["id"]).result
    assert [each["event_type"] for each in events] == ["LLM_CALL_START", "LLM_CALL_END"]
    assert events[0]["llm_prompt"] == server.asked[-1][1]["messages"]
    assert house.send("kernel", "context", "nobody").error.code == "no_such_object"


def test_a_server_that_is_away_costs_nothing_and_its_breaker_stays_open_over_a_restart(house, server):
    house.ask("When was the tree planted, roughly?")
    before = house.send("kernel", "budget").result["today"]["usd"]
    server.failing = 1000
    for n in range(4):
        told = house.ask(f"When was the tree number {n} planted, roughly?")
        assert told["degraded"].startswith("the mind at")
        assert told["answer"].startswith("I do not know")
    send = house.send
    assert send("circuit_breaker_obj", "state").result == "open"
    asked = len(server.asked)
    spent = send("kernel", "budget").result["today"]["usd"]
    assert spent - before <= 3 * 0.01, "what broke counts with what was read at most"
    house.restart()
    server.failing = 0
    assert "left alone" in house.ask("When was the tree planted, about?")["degraded"]
    assert len(server.asked) == asked, "an open breaker asks nobody"
    assert house.send("circuit_breaker_obj", "put", "state", "closed").error is None
    assert house.ask("When was the tree planted, about?")["road"] == "mind"


def test_the_performance_of_the_roads_is_told_by_the_monitor_and_survives_a_restart(house, server):
    for text in ("what is 2 + 2?", "what is 3 + 3?", "When was the tree planted, roughly?"):
        house.ask(text)
    told = house.send("kernel", "performance").result
    assert told["answers"]["reflex anew"]["count"] == 2
    assert told["answers"]["mind anew"]["p95_ms"] > 0
    house.restart()
    assert house.send("kernel", "performance").result["answers"]["reflex anew"]["count"] == 2
