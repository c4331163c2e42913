"""One suite over every kind of mind: the one in this process, and the same one behind a server."""

from __future__ import annotations

import json
import math
import re
import threading
import time

import pytest
from openai_server import OpenAiServer

from batos import errors
from batos.config import Settings
from batos.image import LivingImage
from batos.mind import Limits, Mind, conception, dialect, incarnation, remote
from batos.mind.grammar import method_grammar, plan_grammar
from batos.objects.genesis import genesis

ACCOUNT = {"selector": "withdraw_balance", "args": [30], "slots": {"owner": "Ada", "balance": 100}}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """The embedded mind out of an image."""
    folder = tmp_path_factory.mktemp("conformance") / "image"
    with LivingImage.open(
        folder, Settings(), birth=lambda root: genesis(root, (incarnation.birth,))
    ) as image:
        conception.ensure_embedded(image)
        mind = Mind(image)
        mind.start_loading()
        assert mind.ready(60)
        yield mind
        mind.stop()


@pytest.fixture(scope="module")
def server(embedded):
    one = OpenAiServer(embedded, "batos-embedded-1", ["BRICK", "ALFRED", "ROBIN"])
    yield one
    one.close()


@pytest.fixture(params=["in process", "remote", "remote without grammars"])
def mind(request, embedded, server):
    server.grammars, server.owner = True, "vllm"
    if request.param == "in process":
        return embedded
    if request.param == "remote without grammars":
        server.grammars, server.owner = False, "library"
    return remote.RemoteMind(Settings(mind_url=server.url))


def plan_of(mind, **limits):
    linked = dialect.link(ACCOUNT)
    limits = Limits(**{"max_tokens": 120, **limits})
    return linked, mind.generate([dialect.plan_prompt(linked)], "BRICK", plan_grammar(linked), limits)[0]


def test_it_plans_and_writes_a_method_that_parses(mind):
    linked, draft = plan_of(mind)
    plan = dialect.parse_plan(draft.text, linked)
    assert draft.finish == "stop" and plan["can"] and plan["kind"] == "change"
    (draft,) = mind.generate(
        [dialect.method_prompt(linked, plan)], "BRICK", method_grammar(linked), Limits(max_tokens=220)
    )
    assert "def withdraw_balance(self, amount)" in dialect.parse_method(draft.text, linked, plan)


def test_all_minds_say_the_same_word_for_word(mind, embedded):
    assert plan_of(mind)[1].text == plan_of(embedded)[1].text
    drawn = {"temperature": 0.9, "seed": 7, "top_p": 0.95}
    if mind is embedded or mind.describe()["grammar"] != "none":
        assert plan_of(mind, **drawn)[1].text == plan_of(embedded, **drawn)[1].text


def test_the_likelihood_of_a_draft_is_told(mind, embedded):
    told = plan_of(mind)[1].logprob
    assert math.isfinite(told) and told <= 0
    if mind is not embedded and mind.describe()["grammar"] != "none":
        assert told == pytest.approx(plan_of(embedded)[1].logprob)


def test_each_prompt_has_a_voice_and_a_grammar_of_its_own(mind):
    linked = dialect.link(ACCOUNT)
    prompts = [dialect.plan_prompt(linked)] * 3
    drafts = mind.generate(prompts, ["BRICK", None, "robin"], [plan_grammar(linked), None, "start: /[a-z]{3}/"],
                           Limits(max_tokens=60))  # fmt: skip
    assert dialect.parse_plan(drafts[0].text, linked)["can"]
    assert re.fullmatch("[a-z]{0,3}", drafts[2].text)
    assert drafts[1].text.startswith("{")  # no grammar, and it knows what comes


def test_no_answer_leaves_its_grammar(mind):
    for seed in range(3):
        (draft,) = mind.generate(["<|brief|>\n"], None, "start: /[0-9]{4}/", Limits(20, 1.5, seed=seed))
        assert re.fullmatch("[0-9]{0,4}", draft.text)
        assert draft.finish != "stop" or len(draft.text) == 4


def test_what_is_told_as_it_comes_is_the_draft(mind):
    linked = dialect.link(ACCOUNT)
    told = []
    (draft,) = mind.generate([dialect.plan_prompt(linked)], "BRICK", plan_grammar(linked), Limits(max_tokens=120),
                             tell=lambda place, text: told.append((place, text)))  # fmt: skip
    assert {place for place, _ in told} == {0} and "".join(text for _, text in told) == draft.text
    assert len(told) > 5


def test_a_deadline_and_a_cancel_end_it_in_time(mind):
    started = time.monotonic()
    (draft,) = mind.generate(["<|brief|>\n"], limits=Limits(900, 1.5, seed=1, deadline=started + 0.1))
    assert draft.finish in ("deadline", "stop") and time.monotonic() - started < 2
    cancel = threading.Event()
    cancel.set()
    (draft,) = mind.generate(["<|brief|>\n"], limits=Limits(max_tokens=900), cancel=cancel)
    assert draft.finish == "cancelled" and draft.text == ""


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"prompts": [""]}, errors.BadRequest),
        ({"prompts": ["x"], "grammar": "start: nothing_of_that_name"}, errors.BadRequest),
        ({"prompts": ["x"], "expert": "nobody"}, errors.NoSuchObject),
        ({"prompts": ["x", "y"], "expert": ["BRICK"]}, errors.BadRequest),
        ({"prompts": ["word " * 5_000]}, errors.TooLarge),
    ],
    ids=["empty", "grammar", "nobody", "count", "window"],
)
def test_mistakes_are_the_same_errors(mind, asked, error):
    with pytest.raises(error):
        mind.generate(**asked, limits=Limits(max_tokens=3))


def test_what_it_tells_of_itself_is_plain_data(mind):
    assert mind.ready(5) and mind.state == "ready" and mind.failure is None
    assert mind.activate("brick") is True and mind.activate("nobody") is False
    told = mind.describe()
    assert told["state"] == "ready" and told["model_id"]
    json.dumps(told)
    mind.refresh(["BRICK"])
    mind.prefetch(["BRICK"])
    assert mind.tier("BRICK") in ("hot", "warm", "cold")


# only a server can


def test_a_busy_server_is_asked_again_and_one_that_stays_away_is_left_alone_for_a_while(server, monkeypatch):
    import stamina

    stamina.set_testing(True, attempts=remote.ATTEMPTS)
    try:
        mind = remote.RemoteMind(Settings(mind_url=server.url))
        server.failing = 2
        assert plan_of(mind)[1].finish == "stop"
        server.failing = 2
        assert plan_of(mind)[1].finish == "stop"
        server.failing = 10_000
        for _ in range(remote.FAILURES):
            with pytest.raises(errors.NoMind, match="does not answer|left alone") as told:
                plan_of(mind)
        assert told.value.retryable
        count = len(server.asked)
        with pytest.raises(errors.NoMind, match="left alone"):
            plan_of(mind)
        assert len(server.asked) == count  # it was not even asked
        server.failing = 0
        monkeypatch.setattr(mind._breaker, "_reset_timeout", 0)
        assert plan_of(mind)[1].finish == "stop"
    finally:
        server.failing = 0
        stamina.set_testing(False)


def test_mistakes_of_ours_do_not_count_against_the_server(server):
    mind = remote.RemoteMind(Settings(mind_url=server.url))
    for _ in range(remote.FAILURES + 2):
        with pytest.raises(errors.TooLarge):
            mind.generate(["word " * 5_000])
    assert plan_of(mind)[1].finish == "stop"


def test_a_server_that_says_nothing_does_not_outlast_a_deadline_or_a_cancel(server):
    mind = remote.RemoteMind(Settings(mind_url=server.url))
    server.silent = True
    try:
        started = time.monotonic()
        (draft,) = mind.generate(["x"], limits=Limits(deadline=started + 0.2))
        assert draft.finish == "deadline" and time.monotonic() - started < 1
        cancel = threading.Event()
        threading.Timer(0.1, cancel.set).start()
        (draft,) = mind.generate(["x"], cancel=cancel)
        assert draft.finish == "cancelled" and time.monotonic() - started < 2
    finally:
        server.silent = False


def test_the_key_comes_from_the_environment_or_the_keyring_and_a_wrong_one_is_told(embedded, monkeypatch):
    import keyring

    server = OpenAiServer(embedded, "batos-embedded-1", ["BRICK"], key="sesame")
    try:
        monkeypatch.setattr(keyring, "get_password", lambda service, name: None)
        with pytest.raises(errors.NoMind, match="does not accept our key") as told:
            remote.RemoteMind(Settings(mind_url=server.url)).activate("BRICK")
        assert remote.KEY in told.value.hint
        monkeypatch.setattr(
            keyring, "get_password", lambda service, name: "sesame" if name == server.url else None
        )
        assert remote.RemoteMind(Settings(mind_url=server.url)).activate("BRICK")
        monkeypatch.setenv(remote.KEY, "wrong")
        with pytest.raises(errors.NoMind):
            remote.RemoteMind(Settings(mind_url=server.url)).activate("BRICK")
        monkeypatch.setenv(remote.KEY, "sesame")
        mind = remote.RemoteMind(Settings(mind_url=server.url))
        assert mind.activate("BRICK") and "sesame" not in json.dumps(mind.describe())
    finally:
        server.close()


def test_a_server_of_another_family_is_told_how_to_answer_and_a_persona_it_has_not_is_its_model(embedded):
    asked = []

    class Chatty:
        def generate(self, prompts, expert, grammar, limits, cancel, tell):
            asked.append((prompts[0], expert))
            return embedded.generate(["<|brief|>\n"], None, grammar, limits, cancel, tell)

    server = OpenAiServer(Chatty(), "llama-3.1-8b", [], owner="llamacpp")
    try:
        mind = remote.RemoteMind(Settings(mind_url=server.url))
        linked, _ = plan_of(mind)
        prompt, expert = asked[0]
        assert expert is None and prompt.endswith(dialect.plan_prompt(linked))
        assert "§0 §1 ... are the object's data slots" in prompt
        assert mind.describe()["grammar"] == "llama.cpp" and "grammar" in server.asked[-1][1]
        assert isinstance(mind.converse([{"role": "user", "content": "hello"}], "ROBIN", 20), str)
        told = server.asked[-1][1]["messages"]
        assert told[0]["role"] == "system" and "friend" in told[0]["content"]
    finally:
        server.close()


def test_without_a_server_there_is_no_mind_in_words_and_soon():
    import stamina

    stamina.set_testing(True, attempts=2)
    try:
        mind = remote.RemoteMind(Settings(mind_url="http://127.0.0.1:9/v1"))
        with pytest.raises(errors.NoMind, match="does not answer") as told:
            mind.generate(["x"])
        assert "mind_url" in told.value.hint and mind.state == "failed"
        with pytest.raises(errors.NoMind, match="decides itself"):
            mind.pin("BRICK")
    finally:
        stamina.set_testing(False)
