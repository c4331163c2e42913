"""The clients: the same `send` over a socket, what they say when nobody answers, and who may share one."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import decimal
import math
import socket
import subprocess
import sys
import threading
import time
from itertools import pairwise

import pytest
import zmq
from fake_image import image, server  # noqa: F401 - fixtures

from batos import AsyncClient, Client
from batos.client import Ref
from batos.config import Settings
from batos.errors import (
    BadRequest,
    Cancelled,
    Deadline,
    NobodyAwake,
    NoSuchObject,
    NotUnderstood,
    TooLarge,
    WrongArguments,
)  # fmt: skip
from batos.message import Message
from batos.server import Server


@pytest.fixture
def client(server):
    with Client(server.endpoint) as one:
        yield one


def test_send_answers_the_result_and_a_proxy_is_the_same(client):
    assert client.send("account", "deposit", 5) == 5
    assert client.account.deposit(5) == 10
    assert client.shop.till.coins() == [1, 2]
    assert client.send("account", "echo", 1, a=2) == {"args": [1], "kw": {"a": 2}}


def test_what_the_image_refuses_is_raised_with_all_it_said(client):
    with pytest.raises(NotUnderstood, match="depozit") as caught:
        client.account.depozit(5)
    assert caught.value.near == ["deposit"]
    with pytest.raises(WrongArguments):
        client.account.balance(1)
    with pytest.raises(NoSuchObject):
        client.nobody.hello()


def test_call_answers_the_whole_reply(client):
    reply = client.call(Message("account", "dream_a_little", id="mine"))
    assert (reply.id, reply.result, reply.mission, reply.error) == ("mine", "dreamt", "m-1", None)


def test_the_options_travel_as_fields_and_only_where_they_are_given(client, image):
    client.send(
        "account",
        "echo",
        1,
        timeout=3,
        miss="error",
        wait=False,
        intent="to see",
        examples=[{"result": 1}],
        idem="k",
    )
    heard = image.heard[-1]
    assert (heard.timeout, heard.miss, heard.wait, heard.intent, heard.idem) == (
        3,
        "error",
        False,
        "to see",
        "k",
    )
    assert heard.examples == [{"result": 1}]
    client.account.echo(1)
    assert image.heard[-1].timeout is None and image.heard[-1].wait


def test_who_listens_hears_what_comes_before_the_answer(client):
    heard = []
    assert client.send("account", "dream_a_little", tell=heard.append) == "dreamt"
    assert [(each["seq"], each["state"]) for each in heard] == [
        (0, "DECOMPOSING"), (1, "DELEGATING"), (2, "SYNTHESIZING")
    ]  # fmt: skip
    assert client.call(Message("account", "dream_a_little", stream=True)).result == "dreamt"  # and nobody listens
    assert client.send("account", "recite", "this and that", tell=heard.append) == 13
    assert "".join(each.get("text", "") for each in heard) == "thisandthat"


def test_a_message_may_be_tried_and_tells_what_it_would_have_changed(client, image):
    tried = client.dry("account", "deposit", 5)
    account = {"oid": "0x1f", "path": "account"}
    assert tried.result == 5
    assert tried.changes == [{"object": account, "slot": "balance", "before": 0, "after": 5}]
    assert client.account.balance() == 0
    result, changes = client.dry("account", "balance")  # a reading changes nothing
    assert (result, changes) == (0, [])
    assert client.send("account", "deposit", 5, dry=True) == 5 and client.account.balance() == 0
    with pytest.raises(NotUnderstood):
        client.dry("account", "depozit", 5)


def test_the_past_is_asked_with_the_id_of_a_transaction(client, image):
    client.send("account", "balance", at="03fd1c2a9b7e5500")
    assert image.heard[-1].at == "03fd1c2a9b7e5500" and not image.heard[-1].dry
    with pytest.raises(BadRequest, match="'at'"):
        client.send("account", "balance", at="yesterday")


def test_objects_as_arguments_go_by_name_by_oid_or_as_a_result_of_before(client, image):
    found = client.account.echo(client.shop.till)
    assert found == {"oid": "0x1f", "path": "shop.till"}
    assert client.account.echo(Ref("shop")) == {"oid": "0x1f", "path": "shop"}
    client.account.echo(Ref(found), Ref(oid="0x2"))
    assert image.heard[-1].args == [{"$oid": "0x1f"}, {"$oid": "0x2"}]
    for wrong in ((), ("a", "0x1")):
        with pytest.raises(BadRequest):
            Ref(*wrong[:1], oid=wrong[1] if len(wrong) > 1 else None)


def test_arguments_take_the_form_results_have(client):
    given = (1, 2), {3, 1}, b"hi", datetime.date(2026, 1, 2), decimal.Decimal("1.50"), {1: None}, 2**100
    assert client.send("account", "echo", *given) == [
        [1, 2],
        [1, 3],
        "aGk=",
        "2026-01-02",
        "1.50",
        {"1": None},
        2**100,
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), lambda: 1, "\ud800", [[math.nan]]])
def test_an_argument_that_is_no_plain_data_never_leaves(client, image, value):
    with pytest.raises(BadRequest, match="'echo' cannot be sent"):
        client.account.echo(value)
    assert not image.heard


def test_probes_of_python_itself_send_nothing(client, image):
    import copy
    import inspect
    import pickle

    for probed in (client.account, client):
        assert not hasattr(probed, "_repr_html_") and not hasattr(probed, "__wrapped__")
        repr(probed), inspect.iscoroutinefunction(probed), inspect.getdoc(probed)
        for probe in (copy.copy, pickle.dumps):
            with contextlib.suppress(TypeError, AttributeError, pickle.PicklingError):
                probe(probed)
    with pytest.raises(BadRequest):
        client.account()
    assert not image.heard


def test_a_client_that_nobody_closed_is_collected_without_waiting(server):
    """Python ends its garbage in any thread at any moment; the end of a context waits for its sockets."""
    done = subprocess.run(
        [sys.executable, "-c", FORGOTTEN, server.endpoint], capture_output=True, text=True, timeout=20
    )
    assert done.stdout.split() == ["5", "collected"], done.stderr


FORGOTTEN = """
import gc, sys
from batos import Client

client = Client(sys.argv[1])
print(client.send("account", "deposit", 5))
client.loop = client  # as an exception that names its frame does
del client
gc.collect()
print("collected")
"""


def test_nobody_at_the_endpoint_is_said_at_once(free_endpoint):
    began = time.monotonic()
    with pytest.raises(NobodyAwake, match=free_endpoint) as caught, Client(free_endpoint) as client:
        client.account.balance()
    assert time.monotonic() - began < 1.0 and "awaken" in caught.value.hint and caught.value.exit_code == 5


def test_a_port_that_answers_but_is_no_image_is_nobody_within_two_seconds():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        with pytest.raises(NobodyAwake):
            Client(f"tcp://127.0.0.1:{mute.getsockname()[1]}").account.balance()
        assert time.monotonic() - began < 2.0


def test_a_loop_that_waits_for_a_door_which_hangs_up_goes_on_with_everything_else():
    """Why it hung up is read from the door's own greeting, and this one never says it."""
    held = []

    def hang_up_once_and_then_say_nothing(door):
        with contextlib.suppress(OSError):
            while True:
                held.append(door.accept()[0])
                if len(held) == 1:
                    held[0].recv(10)
                    held[0].close()

    async def story(endpoint):
        ticks = [time.monotonic()]

        async def tick():
            while True:
                await asyncio.sleep(0.01)
                ticks.append(time.monotonic())

        ticking = asyncio.create_task(tick())
        with pytest.raises(NobodyAwake, match="hangs up"):
            await AsyncClient(endpoint, patience=1.0).send("account", "balance")
        ticking.cancel()
        return max(after - before for before, after in pairwise(ticks))

    with socket.create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=hang_up_once_and_then_say_nothing, args=(door,), daemon=True).start()
        longest = asyncio.run(story(f"tcp://127.0.0.1:{door.getsockname()[1]}"))
        assert len(held) > 1 and longest < 0.4  # a greeting is waited for half a second
        door.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("endpoint", ["", "nonsense", "tcp://", "tcp://127.0.0.1", "http://127.0.0.1:80"])
def test_what_is_no_endpoint_is_a_bad_request(endpoint):
    with pytest.raises(BadRequest):
        Client(endpoint).account.balance()


def test_after_a_timeout_the_same_client_goes_on_and_never_hands_out_a_late_answer(client, monkeypatch):
    monkeypatch.setattr("batos.client.line.GRACE", 0.1)
    with pytest.raises(Deadline) as caught:
        client.send("account", "sleep", 0.5, timeout=0.1)
    assert caught.value.retryable
    assert client.account.owner() == "Ada"
    time.sleep(0.5)
    assert client.account.owner() == "Ada"


def test_an_image_that_dies_while_it_is_asked_is_noticed(tmp_path):
    code = (
        f"import zmq; s = zmq.Context().socket(zmq.ROUTER); s.bind('ipc://{tmp_path}/door'); "
        "print('up', flush=True); s.recv_multipart()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as dying:
        dying.stdout.readline()
        with (
            pytest.raises(NobodyAwake, match="went away") as caught,
            Client(f"ipc://{tmp_path}/door") as client,
        ):
            client.account.balance()
        assert "idempotency" in caught.value.hint


def test_an_image_that_sleeps_and_awakens_again_is_found_by_the_same_client(image, tmp_path):
    settings = Settings(endpoint=f"ipc://{tmp_path}/door")
    first = Server(image, settings)
    first.start()
    with Client(settings.endpoint) as client:
        assert client.account.owner() == "Ada"
        first.stop()
        time.sleep(0.05)
        with pytest.raises(NobodyAwake):
            client.account.owner()
        second = Server(image, settings)
        second.start()
        assert client.account.owner() == "Ada"
        second.stop()


def test_a_message_far_over_the_limit_is_told_as_too_large_though_the_image_drops_it(image):
    served = Server(image, Settings(endpoint="tcp://127.0.0.1:*", max_frame_bytes=2**23))
    served.start()
    with Client(served.endpoint) as client:
        for size in (2**23, 2**25 + 2**20):  # the image says so itself; the image only hangs up
            with pytest.raises(TooLarge, match="bytes"):
                client.account.echo("x" * size)
        with pytest.raises(BadRequest, match="256"):
            client.call(Message("account", "owner", id="x" * 300))
        assert client.account.owner() == "Ada"

    async def the_same_awaited():
        async with AsyncClient(served.endpoint) as client:
            with pytest.raises(TooLarge):
                await client.account.echo("x" * 2**23)

    asyncio.run(the_same_awaited())
    served.stop()


def test_what_answers_without_speaking_the_protocol_is_said(tmp_path):
    context = zmq.Context()
    stranger = context.socket(zmq.ROUTER)
    stranger.bind(f"ipc://{tmp_path}/door")

    def answer():
        frames = stranger.recv_multipart()
        stranger.send_multipart([*frames[:-1], b"hello"])

    threading.Thread(target=answer, daemon=True).start()
    with Client(f"ipc://{tmp_path}/door") as client, pytest.raises(Exception, match="batos message 1"):
        client.account.balance()
    context.destroy(linger=0)


def test_one_client_serves_many_threads_at_once(client):
    answers: dict[int, object] = {}

    def ask(number):
        if number % 5 == 0:
            client.account.sleep(0.05)
        answers[number] = [client.account.echo([number, turn]) for turn in range(10)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: [[number, turn] for turn in range(10)] for number in range(20)}


def test_a_closed_client_says_so(client):
    client.account.owner()
    client.close()
    client.close()
    with pytest.raises(BadRequest, match="closed"):
        client.account.owner()


def test_the_awaited_client_answers_many_at_once_in_any_order(server):
    async def story():
        async with AsyncClient(server.endpoint) as client:
            assert await client.account.deposit(5) == 5
            slow = asyncio.create_task(client.send("account", "sleep", 1.5))
            answers = await asyncio.gather(*(client.account.echo(number) for number in range(1000)))
            assert answers == list(range(1000)) and not slow.done()
            assert await slow == "slept"
            with pytest.raises(NotUnderstood):
                await client.account.depozit(5)

    asyncio.run(story())


def test_the_awaited_client_tells_each_listener_its_own_events(server):
    async def story():
        async with AsyncClient(server.endpoint) as image:
            texts = ["a b c", "d e f", "g h"]
            heard = {text: [] for text in texts}
            answers = [image.send("account", "recite", text, tell=heard[text].append) for text in texts]
            assert await asyncio.gather(*answers) == [5, 5, 3]
            for text, events in heard.items():
                assert "".join(each["text"] for each in events) == text.replace(" ", "")
            with pytest.raises(ZeroDivisionError):  # a listener's own mistake is its own
                await image.send("account", "recite", "a b", tell=lambda event: 1 / 0)
            assert await image.send("account", "balance") == 0

    asyncio.run(story())


def test_the_awaited_client_keeps_its_deadlines_and_notices_who_leaves(server, monkeypatch, free_endpoint):
    monkeypatch.setattr("batos.client.line.GRACE", 0.1)

    async def story():
        client = AsyncClient(server.endpoint)
        with pytest.raises(Deadline):
            await client.send("account", "sleep", 0.5, timeout=0.1)
        assert await client.account.owner() == "Ada"
        waiting = asyncio.create_task(client.send("account", "sleep", 3))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(server.stop, 0.0)
        with pytest.raises((Cancelled, NobodyAwake)):
            await waiting
        await asyncio.sleep(0.1)
        with pytest.raises(NobodyAwake):
            await client.account.owner()
        await client.close()
        with pytest.raises(BadRequest):
            await client.account.owner()
        with pytest.raises(NobodyAwake):
            await AsyncClient(free_endpoint).account.owner()

    asyncio.run(story())


def test_closing_the_awaited_client_tells_who_still_waits(server):
    async def story():
        client = AsyncClient(server.endpoint)
        waiting = asyncio.create_task(client.send("account", "sleep", 3))
        await asyncio.sleep(0.1)
        await client.close()
        with pytest.raises(Cancelled):
            await waiting

    asyncio.run(story())


def test_importing_the_client_loads_no_storage_no_mind_and_no_asyncio():
    code = "import sys, batos.client; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"ZODB", "torch", "transformers", "asyncio", "msgspec", "numpy"} & set(loaded)
