"""The door: frames in, answers out, and nobody disturbed by anybody."""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import msgspec
import pytest
import zmq
from fake_image import image  # noqa: F401 - fixtures

from batos import Client
from batos.config import Settings
from batos.errors import AlreadyAwake, BadRequest, BatosError
from batos.message import Reply
from batos.server import Server

LIMIT = 100_000


@pytest.fixture
def server(image):
    served = Server(image, Settings(endpoint="tcp://127.0.0.1:*", max_frame_bytes=LIMIT, client_queue=20))
    served.start()
    yield served
    served.stop()


@pytest.fixture
def dial(server):
    """`dial(zmq.REQ)`: a bare socket of that kind, as somebody without our client would use it."""
    context = zmq.Context()

    def connect(kind, **options):
        peer = context.socket(kind)
        peer.linger, peer.rcvtimeo = 0, 3000
        for name, value in options.items():
            setattr(peer, name, value)
        peer.connect(server.endpoint)
        return peer

    yield connect
    context.destroy(linger=0)


def message(**fields):
    return json.dumps({"to": "account", "send": "balance", **fields}).encode()


def test_a_req_client_sends_one_frame_and_gets_one_frame(dial):
    req = dial(zmq.REQ)
    for number in (1, 2, 3):
        req.send(message(send="deposit", args=[1], id=f"n{number}"))
        assert json.loads(req.recv()) == {"id": f"n{number}", "result": number}


def test_a_dealer_with_and_without_the_empty_frame_and_a_correlated_req_all_get_their_envelope_back(dial):
    dealer, req = dial(zmq.DEALER), dial(zmq.REQ, req_correlate=1)
    dealer.send_multipart([b"", message(id="a")])
    assert json.loads(dealer.recv_multipart()[1])["id"] == "a"
    dealer.send(message(id="b"))
    (body,) = dealer.recv_multipart()
    assert json.loads(body)["id"] == "b"
    dealer.send_multipart([b"one", b"two", b"", message(id="c")])
    assert dealer.recv_multipart()[:3] == [b"one", b"two", b""]
    req.send(message(id="d"))
    assert json.loads(req.recv())["id"] == "d"


def test_the_answer_comes_in_the_encoding_of_the_question(dial):
    dealer = dial(zmq.DEALER)
    dealer.send(msgspec.msgpack.encode({"to": "account", "send": "owner", "id": 7}))
    assert msgspec.msgpack.decode(dealer.recv()) == {"id": 7, "result": "Ada"}
    dealer.send(msgspec.msgpack.encode({"to": "account", "send": 5}))
    assert msgspec.msgpack.decode(dealer.recv())["error"]["code"] == "bad_request"


@pytest.mark.parametrize("coding", [json, msgspec.msgpack], ids=["json", "msgpack"])
def test_events_come_before_the_reply_numbered_without_a_gap_and_only_to_who_asked(dial, coding):
    def written(**fields):
        told = {"to": "account", "send": "recite", "args": ["to be or not"], **fields}
        return json.dumps(told).encode() if coding is json else msgspec.msgpack.encode(told)

    def read(frame):
        return json.loads(frame) if coding is json else msgspec.msgpack.decode(frame)

    dealer = dial(zmq.DEALER)
    dealer.send_multipart([b"", written(id="mine", stream=True)])
    told = []
    while not told or "event" in told[-1]:
        told.append(read(dealer.recv_multipart()[-1]))
    assert {each["id"] for each in told} == {"mine"}
    assert [each["seq"] for each in told[:-1]] == list(range(len(told) - 1))
    assert "".join(each["text"] for each in told[:-1]) == "tobeornot"
    assert told[-1]["result"] == 12 and "seq" not in told[-1]
    dealer.send_multipart([b"", written(send="dream_a_little", args=[], stream=True)])
    states = [read(dealer.recv_multipart()[-1])["state"] for _ in range(3)]
    assert states == ["DECOMPOSING", "DELEGATING", "SYNTHESIZING"]
    assert read(dealer.recv_multipart()[-1])["result"] == "dreamt"
    dealer.send_multipart([b"", written(send="dream_a_little", args=[])])
    assert read(dealer.recv_multipart()[-1])["result"] == "dreamt"


def test_who_reads_slowly_gets_fewer_and_larger_events_and_every_word_of_them(dial, server):
    slow, good = dial(zmq.DEALER, rcvhwm=1, rcvbuf=4096), dial(zmq.REQ)
    words = [f"{number}-{'y' * 40}" for number in range(2000)]
    slow.send(message(id="long", send="recite", args=[" ".join(words)], stream=True))
    slow.send(message(id="other", send="recite", args=["one two three"], stream=True))
    good.send(message())
    assert "result" in json.loads(good.recv())  # nobody else is held up
    told = [json.loads(slow.recv())]
    while {each["id"] for each in told if "result" in each} != {"long", "other"}:
        told.append(json.loads(slow.recv()))
    for ident, text in (("long", "".join(words)), ("other", "onetwothree")):
        mine = [each for each in told if each["id"] == ident]
        assert "".join(each["text"] for each in mine[:-1]) == text and "result" in mine[-1]
        assert [each["seq"] for each in mine[:-1]] == list(range(len(mine) - 1))
    assert server.stats()["events"] < 2003  # some were joined


def test_a_slow_message_does_not_hold_up_the_next_one(dial):
    dealer = dial(zmq.DEALER)
    dealer.send(message(send="sleep", args=[0.3], id="slow"))
    dealer.send(message(id="quick"))
    assert [json.loads(dealer.recv())["id"] for _ in range(2)] == ["quick", "slow"]


def test_a_frame_slightly_over_the_limit_is_told_so_and_a_huge_one_loses_only_its_own_connection(
    dial, server
):
    dealer, other = dial(zmq.DEALER), dial(zmq.DEALER)
    dealer.send(message(args=["x" * LIMIT]))
    error = json.loads(dealer.recv())["error"]
    assert error["code"] == "too_large" and str(LIMIT) in error["message"]
    dealer.send(message(args=["x" * LIMIT * 5]))
    other.send(message())
    assert "result" in json.loads(other.recv())
    assert server.stats()["too_large"] == 1


def test_frames_that_are_no_message_are_answered_counted_and_disturb_nobody(dial, server):
    chance, good = random.Random(7), dial(zmq.REQ)
    hostile = dial(zmq.DEALER)
    sent = 0
    for number in range(400):
        frames = [chance.randbytes(chance.randrange(40)) for _ in range(chance.randrange(1, 6))]
        hostile.send_multipart(frames)
        sent += 1
        if number % 40 == 0:
            good.send(message())
            assert "result" in json.loads(good.recv())
    hostile.send_multipart([b"x"] * 100)  # more frames than any envelope has: no answer, but counted
    answers = [hostile.recv_multipart() for _ in range(sent)]
    codes = {json.loads(answer[-1])["error"]["code"] for answer in answers if answer[-1][:1] == b"{"}
    assert codes <= {"bad_request"}
    good.send(message())
    assert "result" in json.loads(good.recv())
    assert server.stats()["bad_request"] == sent + 1


def test_bytes_that_are_not_even_zeromq_disturb_nobody(dial, server):
    host, port = server.endpoint.removeprefix("tcp://").split(":")
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 100, os.urandom(5000), b""):
        with socket.create_connection((host, int(port))) as raw:
            raw.sendall(garbage)
    req = dial(zmq.REQ)
    req.send(message())
    assert "result" in json.loads(req.recv())


def test_a_client_that_never_reads_fills_its_own_queue_and_no_other(dial, server, image):
    deaf, good = dial(zmq.DEALER, rcvhwm=1, sndhwm=0, rcvbuf=4096), dial(zmq.REQ)
    big = "y" * 50_000
    for _ in range(600):
        deaf.send(message(send="echo", args=[big]))
    deadline = time.monotonic() + 10
    while server.stats()["frames"] < 600 and time.monotonic() < deadline:
        good.send(message())
        assert "result" in json.loads(good.recv())
    assert server.stats()["busy"] > 0  # no longer run, because their answers could not be kept
    ran = [one for one in image.heard if one.send == "echo"]
    assert len(ran) < 600
    # Once it reads again it gets every answer that was kept, and `busy` for the rest; a `busy` needs no turn,
    # so it may come before the answer of a message that was running then.
    answers = []
    while sum("result" in answer for answer in answers) < len(ran):
        answers.append(json.loads(deaf.recv()))
    answers += [json.loads(deaf.recv()) for _ in range(5)]
    assert sum("result" in answer for answer in answers) == len(ran)
    assert {answer["error"]["code"] for answer in answers if "error" in answer} == {"busy"}


def test_a_client_that_leaves_before_its_answer_harms_nobody(dial, server):
    for _ in range(20):
        leaver = dial(zmq.DEALER)
        leaver.send(message(send="sleep", args=[0.05]))
        leaver.close(linger=100)
    time.sleep(0.2)
    req = dial(zmq.REQ)
    req.send(message())
    assert "result" in json.loads(req.recv())
    assert server.stats()["in_flight"] == 0


def test_a_kernel_that_breaks_its_promise_still_leaves_nobody_without_an_answer(dial, image):
    def raises(_):
        raise RuntimeError("boom")

    def fails(_):
        future: Future[Reply] = Future()
        future.set_exception(KeyError("lost"))
        return future

    def cancels(_):
        future: Future[Reply] = Future()
        future.cancel()
        future.set_running_or_notify_cancel()
        return future

    req = dial(zmq.REQ)
    for submit, code in ((raises, "internal"), (fails, "internal"), (cancels, "cancelled")):
        image.submit = submit
        req.send(message(id="x"))
        answer = json.loads(req.recv())
        assert answer["id"] == "x" and answer["error"]["code"] == code


def test_refusing_answers_new_messages_busy_and_stopping_answers_the_old_ones(dial, server):
    dealer = dial(zmq.DEALER)
    dealer.send(message(send="sleep", args=[0.3], id="under way"))
    time.sleep(0.1)
    server.refuse("the image is going to sleep")
    dealer.send(message(id="late"))
    late = json.loads(dealer.recv())
    assert late["id"] == "late" and late["error"]["code"] == "busy" and late["error"]["retryable"]
    server.stop(grace=2.0)
    assert json.loads(dealer.recv()) == {"id": "under way", "result": "slept"}


def test_stopping_tells_who_waits_too_long_and_takes_no_longer_than_its_grace(dial, server):
    dealer = dial(zmq.DEALER)
    dealer.send(message(send="sleep", args=[5], id="long"))
    time.sleep(0.1)
    began = time.monotonic()
    server.stop(grace=0.2)
    assert time.monotonic() - began < 2.0
    assert json.loads(dealer.recv())["error"]["code"] == "cancelled"


@pytest.mark.parametrize(
    "endpoint",
    ["tcp://0.0.0.0:5555", "tcp://*:5555", "tcp://192.168.0.7:5555", "tcp://example.com:5555",
     "tcp://[::]:5555", "tcp://127.0.0.1", "tcp://127.0.0.1:99999", "tcp://127.0.0.1:x",
     "udp://127.0.0.1:5555", "inproc://x", "ipc://", "", "5555"],
)  # fmt: skip
def test_only_loopback_and_ipc_are_served(image, endpoint):
    with pytest.raises(BadRequest) as caught:
        Server(image, Settings(endpoint=endpoint)).start()
    assert repr(endpoint) in str(caught.value) and "loopback" in str(caught.value)


def test_a_taken_endpoint_is_an_error_that_names_it(image, server, tmp_path: Path):
    with pytest.raises(AlreadyAwake, match=server.endpoint):
        Server(image, Settings(endpoint=server.endpoint)).start()
    first = Server(image, Settings(endpoint=f"ipc://{tmp_path}/door"))
    first.start()
    try:
        with pytest.raises(AlreadyAwake):  # libzmq alone would have taken the file over, silently
            Server(image, Settings(endpoint=first.endpoint)).start()
        with Client(first.endpoint) as client:
            assert client.account.owner() == "Ada"
        assert (tmp_path / "door").stat().st_mode & 0o077 == 0
    finally:
        first.stop()
    again = Server(image, Settings(endpoint=f"ipc://{tmp_path}/door"))
    again.start()  # what a killed process left behind is in nobody's way
    again.stop()


def test_an_endpoint_that_cannot_be_made_is_an_error_with_the_reason(image, tmp_path: Path):
    with pytest.raises(BatosError, match="No such file"):
        Server(image, Settings(endpoint=f"ipc://{tmp_path}/nowhere/door")).start()


def test_fifty_threads_get_fifty_times_their_own_answers(server):
    wrong: list[object] = []

    def talk(number):
        try:
            with Client(server.endpoint) as client:
                for turn in range(20):
                    if client.account.echo([number, turn]) != [number, turn]:
                        wrong.append((number, turn))
        except BaseException as exc:
            wrong.append(exc)

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
