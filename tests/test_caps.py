"""Powers come from objects that hand them out, and permissions say who may define and who may write which slot."""

from __future__ import annotations

import datetime
import random

import pytest
from scripted import ScriptedMind, plan, sender

from batos.app import System
from batos.config import Settings
from batos.guardian.trial import outcome
from batos.message import OWNER
from batos.objects import caps, permission
from batos.objects.snapshot import to_data

CLOCK, LOG, POST = ({"$ref": f"caps_obj.{name}"} for name in ("clock", "log", "post"))
MOMENT = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    system = System(
        Settings(image=tmp_path_factory.mktemp("caps") / "image", heartbeat=False), ScriptedMind()
    )
    yield system
    system.close()


@pytest.fixture
def send(system):
    """`send(to, selector, *args, by="ada")`: what it answers; an error is raised.  By somebody with a key that
    may send everything, or else by the owner."""
    caps.use_world(lambda: MOMENT)
    reply = sender(system)
    system.kernel.admit = lambda message, receiver, root: None  # what a key may send is `test_keys`' matter

    def send(to, selector, *args, by=None, **more):
        said = {} if by is None else {"who": by, "key": by}
        answer = reply(to, selector, *args, **{"miss": "error", **said, **more})
        if answer.error is not None:
            raise answer.error
        return answer.result

    for name in ("account", "other"):
        send("lobby", "clone", called=name, balance=100, items=[1, [2]], notes={"a": {"b": 1}})
    yield send
    for name in ("account", "other"):
        send("lobby", "forget", name)
    caps.use_world()


def define(send, to, source, by=None):
    return send(to, "define", source, by=by)


def refused(action, rule="permission"):
    """The sentence with which an action is refused."""
    with pytest.raises(Exception) as caught:
        action()
    assert getattr(caught.value, "rule", None) == rule, caught.value
    return f"{caught.value} {caught.value.hint}"


# -- powers ------------------------------------------------------------------------------------------------


def test_a_method_reaches_no_clock_log_or_other_object_until_somebody_puts_one_in_a_slot(send):
    define(send, "account", "def when(self):\n    return self.clock.now()\n")
    define(send, "account", "def tell(self, line):\n    return self.log.note(line)\n")
    define(send, "account", "def ask(self):\n    return self.post.send_to('other', 'balance')\n")
    for words in (("when",), ("tell", "hello"), ("ask",)):
        with pytest.raises(AttributeError, match="has no slot"):
            send("account", *words)
    for name, power in (("clock", CLOCK), ("log", LOG), ("post", POST)):
        send("account", "put", name, power)
    assert send("account", "when") == "2027-01-15T08:00:00+00:00"
    assert send("account", "tell", "hello") >= 1 and send("account", "ask") == 100
    send("account", "forget", "clock")
    with pytest.raises(AttributeError):
        send("account", "when")


def test_a_moment_can_be_kept_and_reckoned_with(send):
    send("account", "put", "clock", CLOCK)
    define(send, "account", "def stamp(self):\n    self.at = self.clock.now()\n    return self.at\n")
    define(send, "account", "def age(self):\n    return (self.clock.now() - self.at).total_seconds()\n")
    send("account", "stamp")
    caps.use_world(lambda: MOMENT + 90)
    assert send("account", "age") == 90.0
    assert (
        send("caps_obj.clock", "today") == "2027-01-15" and send("caps_obj.clock", "seconds") == MOMENT + 90
    )


def test_a_line_of_the_log_says_who_wrote_it_and_a_turn_that_fails_writes_none(send):
    send("account", "put", "log", LOG)
    define(
        send,
        "account",
        "def tell(self, line):\n    self.log.note(line)\n    return 10 // len(line)\n",
        by="ada",
    )
    send("account", "tell", "first")
    with pytest.raises(Exception, match="ZeroDivisionError"):
        send("account", "tell", "")
    lines = send("caps_obj.log", "lines")
    assert lines[-1] == ["2027-01-15T08:00:00+00:00", "ada", "first"]
    for number in range(caps.LINES_KEPT + 5):
        send("caps_obj.log", "note", f"line {number}")
    lines = send("caps_obj.log", "lines")
    assert len(lines) == caps.LINES_KEPT and lines[-1][1:] == [OWNER, f"line {number}"]


def test_a_post_reaches_whom_it_was_made_for_and_a_clone_of_one_nobody(send):
    posted = send("caps_obj.post", "only_to", "other")
    send("account", "put", "post", POST)
    define(
        send,
        "account",
        "def once(self):\n    return self.post.only_to('other').send_to('other', 'balance')\n",
    )
    assert send("account", "once") == 100
    send("account", "put", "post", {"$ref": "caps_obj.post"})
    define(send, "account", "def narrow(self):\n    self.post = self.post.only_to('other')\n    return 1\n")
    define(send, "account", "def ask(self, name):\n    return self.post.send_to(name, 'balance')\n")
    define(send, "account", "def widen(self):\n    return self.post.only_to('account')\n")
    define(send, "account", "def copy(self):\n    return self.post.clone().send_to('other', 'balance')\n")
    assert posted["path"] is None and send("account", "ask", "account") == 100
    send("account", "narrow")
    assert send("account", "ask", "other") == 100
    assert "not 'account'" in refused(lambda: send("account", "ask", "account"), "capability")
    assert "does not reach 'account'" in refused(lambda: send("account", "widen"), "capability")
    assert "reaches nobody" in refused(lambda: send("account", "copy"), "capability")
    for name in ("keys_obj", "caps_obj", "kernel", "lobby._permission", "permissions_obj"):
        send("account", "put", "post", POST)
        with pytest.raises(Exception, match="finds no object"):
            send("account", "ask", name)


def test_in_a_rehearsal_time_stands_still_the_log_goes_nowhere_and_the_post_stays_in_the_circle(send, system):
    def rehearsed(draft, **slots):
        def tell(root):
            powers = {name: root["caps_obj"]._slots[name] for name in ("clock", "log", "post")}
            account = root.resolve("account")
            for name, power in powers.items():
                setattr(account, name, power)
            account.friend = root.resolve("other")
            return to_data(account)

        try:
            return outcome(system.image.run("circle", tell), "tried", draft, {}, 1.0)
        finally:
            caps.use_world()

    still = rehearsed("def tried(self):\n    return [self.clock.seconds(), self.clock.seconds()]\n")
    assert still.get("result") == [caps.TRIAL_MOMENT] * 2, still
    told = rehearsed("def tried(self):\n    self._p_changed = True\n    return self.log.note('x')\n")
    assert told["result"] == 1 and told["changes"] == {}
    inside = rehearsed("def tried(self):\n    return self.post.send_to('other', 'balance')\n")
    assert inside["result"] == 100
    outside = rehearsed("def tried(self):\n    return self.post.send_to('lobby', 'slots')\n")
    assert "circle" in outside["unknown"]
    assert send("caps_obj.log", "slots")["own"].get("lines", [None])[-1] != "x"


# -- permissions -------------------------------------------------------------------------------------------


def permit(send, to, **said):
    return send("permissions_obj", "permit", {"$ref": to}, **said)


def test_an_object_without_a_permission_is_open_and_one_with_it_only_to_whom_it_names(send):
    assert send("permissions_obj", "permission_of", {"$ref": "account"}) is None
    send("account", "put", "balance", 90, by="ada")
    permit(send, "account", define=["bob"], write={"balance": ["ada"]})
    assert send("account", "put", "balance", 80, by="ada") == 80
    words = refused(lambda: send("account", "put", "balance", 1, by="bob"))
    assert "'balance' of account" in words and "owner, ada" in words and "by bob" in words
    assert send("account", "put", "other_slot", 1, by="bob") == 1  # what is not named is open
    source = "def fee(self):\n    return 1\n"
    refused(lambda: define(send, "account", source, by="ada"))
    assert define(send, "account", source, by="bob")["version"] == 1
    refused(lambda: send("account", "forget", "fee", by="ada"))
    refused(lambda: send("account", "revert", "fee", 1, by="ada"))
    assert define(send, "account", "def fee(self):\n    return 2\n")["version"] == 2  # the owner, always
    told = send("permissions_obj", "permission_of", {"$ref": "account"})
    assert (
        told["define"] == ["bob"]
        and told["write"] == {"balance": ["ada"]}
        and told["holder"]["path"] == "account"
    )
    assert send("permissions_obj", "lift", {"$ref": "account"}) is None
    assert send("account", "put", "balance", 1, by="bob") == 1


def test_a_change_in_a_method_is_the_doing_of_whoever_wrote_it_not_of_whoever_sends(send):
    define(send, "account", "def deposit(self, n):\n    self.balance += n\n    return self.balance\n")
    define(send, "account", "def skim(self, n):\n    self.balance -= n\n    return self.balance\n", by="ada")
    permit(send, "account", define=[], write={"balance": []})
    assert send("account", "deposit", 5, by="ada") == 105, "the owner's method is the way in that was made"
    for sender_ in ("ada", None):
        assert "a method by ada" in refused(lambda by=sender_: send("account", "skim", 5, by=by))
    permit(send, "account", write={"balance": ["self"]})
    assert send("account", "skim", 5) == 100, "its own methods, whoever wrote them"
    define(send, "other", "def raid(self, account):\n    return account.put('balance', 0)\n", by="ada")
    assert "a method by ada" in refused(lambda: send("other", "raid", {"$ref": "account"}))
    assert send("account", "balance") == 100


@pytest.mark.parametrize(
    "body",
    [
        "    return [self.put('balance', each) for each in (1, 2)]\n",
        "    return sorted([3, 1], key=lambda each: self.put('balance', each))\n",
        "    def inner():\n        return self.put('balance', 2)\n    return inner()\n",
        "    self.resend('describe')\n    self.balance = 2\n    return 2\n",
        "    try:\n        1 // 0\n    except ZeroDivisionError:\n        self.balance = 2\n    return 2\n",
    ],
    ids=["comprehension", "lambda", "inner function", "resend", "handler"],
)
def test_whose_doing_a_change_is_is_known_in_every_part_of_a_method(send, body):
    define(send, "account", f"def mine(self):\n{body}")
    define(send, "account", f"def hers(self):\n{body}", by="ada")
    permit(send, "account", write={"balance": []})
    send("account", "mine", by="ada")
    assert "a method by ada" in refused(lambda: send("account", "hers"))


def test_methods_that_missions_write_may_be_kept_from_a_slot_and_from_an_object(send, system):
    system.mind.enqueue(
        plan=plan("change"), method=["    self.§0 = self.§0 - amount\n    return self.§0"] * 9
    )
    permit(send, "account", write={"balance": []})
    record = {"mission": "m1"}
    system.image.run(
        "install",
        lambda root: _installed(root, "def drain(self):\n    self.balance = 0\n    return 0\n", record),
    )
    words = refused(lambda: send("account", "drain"))
    assert "a method that a mission wrote" in words and send("account", "balance") == 100
    permit(send, "account", write={"balance": ["missions"]})
    assert send("account", "drain") == 0
    permit(send, "account", define=[])
    refused(
        lambda: system.image.run(
            "install", lambda root: _installed(root, "def a(self):\n    return 1\n", record)
        )
    )
    with pytest.raises(AttributeError) as caught:  # no mission is begun that could not end well
        send("account", "withdraw_balance", 5, miss="mission")
    assert caught.value.code == "not_understood" and "no mission may define" in caught.value.hint


def _installed(root, source, provenance):
    from batos.guardian import judge
    from batos.objects.traits import install

    return install(root.resolve("account"), judge(source, None), "BRICK", **provenance)["version"]


def test_what_a_guarded_slot_holds_is_guarded_at_every_depth_and_by_every_door(send):
    permit(send, "account", write={"items": [], "notes": []})
    for change in ("self.items.append(9)", "self.items[1].append(9)", "self.notes['a']['b'] = 9",
                   "self.items.sort(key=str)", "self.notes.clear()", "del self.items[0]"):  # fmt: skip
        define(send, "account", f"def change(self):\n    {change}\n    return 1\n", by="ada")
        refused(lambda: send("account", "change"))
    assert send("account", "items") == [1, [2]] and send("account", "notes") == {"a": {"b": 1}}
    # What the owner puts there later is guarded as well, and what is put into that.
    define(send, "account", "def grow(self):\n    self.items.append([[3]])\n    return 1\n")
    send("account", "grow", by="ada")
    define(send, "account", "def change(self):\n    self.items[2][0].append(9)\n    return 1\n", by="ada")
    refused(lambda: send("account", "change"))
    assert send("account", "items") == [1, [2], [[3]]]


def test_a_child_is_ruled_by_its_parents_permission_until_it_has_one_of_its_own(send):
    send("lobby", "clone", called="child", balance=1, items=[])
    send("child", "adopt", {"$ref": "account"})
    permit(send, "account", define=[], write={"balance": [], "items": []})
    try:
        told = send("permissions_obj", "permission_of", {"$ref": "child"})
        assert told["holder"]["path"] == "account"
        refused(lambda: send("child", "put", "balance", 2, by="ada"))
        refused(lambda: define(send, "child", "def fee(self):\n    return 1\n", by="ada"))
        refused(lambda: send("child", "disown", {"$ref": "account"}, by="ada"))
        refused(lambda: send("child", "adopt", {"$ref": "other"}, by="ada"))
        refused(lambda: send("child", "become", {"$ref": "other"}, by="ada"))
        refused(lambda: send("other", "become", {"$ref": "child"}, by="ada"))
        permit(send, "child", write={"balance": ["ada"]})
        assert send("child", "put", "balance", 2, by="ada") == 2
        send("permissions_obj", "lift", {"$ref": "child"})
        refused(lambda: send("child", "put", "balance", 3, by="ada"))
        send("permissions_obj", "lift", {"$ref": "account"})
        assert send("child", "put", "balance", 3, by="ada") == 3
    finally:
        send("lobby", "forget", "child")


def test_a_clone_takes_its_prototypes_permission_along_and_cannot_be_made_with_other_slots(send):
    permit(send, "account", write={"balance": [], "items": []})
    refused(lambda: send("account", "clone", by="ada", balance=10**6))
    rich = {"oid": send("account", "clone", by="ada")["oid"]}
    refused(lambda: send(rich, "put", "balance", 10**6, by="ada"))
    define(send, "account", "def add(self):\n    self.items.append(1)\n    return 1\n", by="ada")
    refused(lambda: send("account", "add"))
    made = send("account", "clone", called="copy", by="ada")
    try:
        refused(lambda: send({"oid": made["oid"]}, "add"))
        assert send("copy", "items") == [1, [2]]
    finally:
        send("lobby", "forget", "copy")


def test_nobody_but_the_owner_by_a_message_of_their_own_gives_or_lifts_a_permission(send):
    permit(send, "account", define=[], write={"balance": []})
    account = {"$ref": "account"}
    for by in ("ada", "BRICK"):
        refused(lambda by=by: send("permissions_obj", "lift", account, by=by))
        refused(lambda by=by: send("permissions_obj", "permit", account, by=by, define=[by]))
    # Not even a method that the owner wrote, which anybody may send.
    define(send, "other", "def loosen(self, keeper, account):\n    return keeper.lift(account)\n")
    words = refused(lambda: send("other", "loosen", {"$ref": "permissions_obj"}, account))
    assert "never by a method" in words
    for source in (
        "self._permission = {}",
        "setattr(self, '_permission', {})",
        "self.put('_permission', {})",
    ):
        with pytest.raises(Exception, match="_permission|setattr|names that start"):
            define(send, "account", f"def loosen(self):\n    {source}\n    return 1\n")
            send("account", "loosen")
    for name in ("_permission", "_permission*"):
        with pytest.raises(Exception, match="belong to batos|cannot name"):
            send("account", "put", name, {})
    refused(lambda: send("account", "put", "balance", 0, by="ada"))


@pytest.mark.parametrize(
    "deed",
    [
        "self.parents()[0].put('poisoned', 1)", "self.parents()[0].adopt(self)",
        "self.parents()[0].define('def poisoned(self):\\n    return 1\\n')",
        "self.parents()[1].disown(self.parents()[0])", "self.parents()[0].forget('clone')",
        "there.put('poisoned', 1)", "there.IDLE.put('meta_prompt', 'x')",
    ],
)  # fmt: skip
def test_no_method_but_the_owners_changes_what_every_object_stands_on(send, system, deed):
    state = {"$ref": "psm_prototypes_obj"}
    source = f"def taint(self, there):\n    return {deed}\n"

    def installed(root):
        root.resolve("account")._adopt(root["genesis_obj"])
        return _installed(root, source, {"mission": "m1"})

    system.image.run("install", installed)
    before = send("genesis_obj", "describe"), send("traits_obj", "slots"), send("psm_prototypes_obj", "slots")
    with pytest.raises(Exception) as caught:
        send("account", "taint", state)
    assert caught.value.rule == "permission" and "batos itself stands on" in str(caught.value), caught.value
    assert before == (
        send("genesis_obj", "describe"),
        send("traits_obj", "slots"),
        send("psm_prototypes_obj", "slots"),
    )
    assert send("other", "responds_to", "poisoned") is False


def test_the_owner_changes_what_every_object_stands_on_as_any_other_object(send):
    send("traits_obj", "put", "motto", "x")
    assert send("lobby", "clone", called="late")["path"] == "late" and send("late", "motto") == "x"
    send("traits_obj", "forget", "motto")
    send("lobby", "forget", "late")
    assert (
        send("genesis_obj", "put", "motto", "y", by="ada") == "y"
    )  # what a key may send is its grants' matter
    send("genesis_obj", "forget", "motto")


def test_a_permission_is_a_change_like_any_other_told_and_undone(send, system):
    permit(send, "account", write={"balance": []})
    last = send("kernel", "log", 1)[0]
    assert last["why"].startswith("permit to permissions_obj") and last["who"] == OWNER
    refused(lambda: send("account", "put", "balance", 1, by="ada"))
    send("kernel", "undo", last["message"])
    assert send("account", "put", "balance", 1, by="ada") == 1
    send("kernel", "redo")
    refused(lambda: send("account", "put", "balance", 2, by="ada"))


@pytest.mark.parametrize(
    "change, permission_given",
    [
        (("put", "balance", 5), {"write": {"balance": []}}),
        (("grow",), {"write": {"items": ["self"]}}),
        (("define", "def later(self):\n    return 1\n"), {"define": []}),
        (("adopt", {"$ref": "other"}), {"write": {"balance": []}}),
    ],
    ids=["a slot", "what a slot holds", "a method", "a parent"],
)
def test_a_key_takes_back_and_does_again_only_what_it_could_write_itself(send, change, permission_given):
    define(send, "account", "def grow(self):\n    self.items.append(3)\n    return len(self.items)\n")
    permit(send, "account", **permission_given)
    send("account", *change)

    def told():
        return [send("account", word) for word in ("slots", "selectors", "parents")]

    done, after = send("kernel", "log", 1)[0]["message"], told()
    assert "owner" in refused(lambda: send("kernel", "undo", done, by="ada"))
    assert told() == after
    send("kernel", "undo", done)
    assert told() != after
    refused(lambda: send("kernel", "redo", by="ada"))
    send("kernel", "redo")
    assert told() == after


def test_nobody_gets_a_permission_away_by_taking_back_the_message_that_gave_it(send):
    permit(send, "account", write={"balance": []})
    given = send("kernel", "log", 1)[0]["message"]
    refused(lambda: send("kernel", "undo", given, by="ada"))
    refused(lambda: send("account", "put", "balance", 1, by="ada"))
    assert send("other", "put", "balance", 7, by="ada") == 7  # what is open, a key takes back as ever
    send("kernel", "undo", send("kernel", "log", 1)[0]["message"], by="ada")
    assert send("other", "balance") == 100


def test_a_rehearsal_knows_permissions_so_that_no_draft_wins_that_may_not_do_its_work(send, system):
    permit(send, "account", write={"balance": ["self"], "items": ["ada"]})
    define(send, "account", "def owned(self):\n    self.items = []\n    return 1\n")
    with system.image.turn("look") as root:
        circle = to_data(root.account)
    call = {"args": [], "kw": {}}
    in_use = permission.in_use

    def tried(draft, **more):
        return outcome({**circle, **more}, "m", draft, call, 1.0)

    try:
        for body in ("self.items = []", "self.items.append(1)", "self.items[1].append(1)", "del self.items[0]"):
            told = tried(f"def m(self):\n    {body}\n    return 1\n")
            assert "only by owner, ada" in told["unknown"], (body, told)
            assert tried(f"def m(self):\n    {body}\n    return 1\n", author=["ada", None])["result"] == 1
        assert tried("def m(self):\n    self.balance = 1\n    return 1\n")["result"] == 1  # its own words
        assert tried("def m(self):\n    return self.owned()\n")["result"] == 1  # the owner's, who may
        assert tried("def m(self):\n    return self.balance\n")["result"] == 100
    finally:
        permission.in_use = in_use


def test_a_dry_run_and_a_refused_turn_leave_no_permission_and_no_mark(send):
    send("permissions_obj", "permit", {"$ref": "account"}, write={"items": []}, dry=True)
    assert send("permissions_obj", "permission_of", {"$ref": "account"}) is None
    define(
        send, "account", "def add(self):\n    self.items.append(1)\n    return len(self.items)\n", by="ada"
    )
    assert send("account", "add") == 3


@pytest.mark.parametrize(
    "said",
    [{}, {"define": "ada"}, {"define": [1]}, {"write": ["balance"]}, {"write": {"balance": "ada"}}],
    ids=str,
)
def test_a_permission_that_says_nothing_or_nonsense_is_refused_in_words(send, said):
    with pytest.raises(Exception, match="takes|permits nothing"):
        permit(send, "account", **said)
    with pytest.raises(Exception, match="ref"):
        send("permissions_obj", "permit", "account", define=[])


def test_permissions_and_powers_outlive_the_process_and_an_export(tmp_path):
    image = tmp_path / "image"

    def say(system, *words, **more):
        answer = sender(system)(*words, **more)
        if answer.error is not None:
            raise answer.error
        return answer.result

    system = System(Settings(image=image, heartbeat=False), ScriptedMind())
    say(system, "lobby", "clone", called="account", balance=1, items=[1])
    say(system, "account", "put", "clock", CLOCK)
    say(system, "permissions_obj", "permit", {"$ref": "account"}, define=[], write={"items": ["self"]})
    system.close()
    before, permission.in_use = permission.in_use, False  # as in a new process
    try:
        system = System(Settings(image=image, heartbeat=False), ScriptedMind())
        assert permission.in_use
        system.kernel.admit = lambda *_: None
        with pytest.raises(Exception, match="only by owner"):
            say(system, "account", "put", "items", [], who="ada", key="ada")
        say(system, "kernel", "export", str(tmp_path / "world"))
        system.close()
        from batos.app import import_image

        import_image(Settings(image=tmp_path / "again"), str(tmp_path / "world"))
        permission.in_use = False
        system = System(Settings(image=tmp_path / "again", heartbeat=False), ScriptedMind())
        told = say(system, "permissions_obj", "permission_of", {"$ref": "account"})
        assert told["define"] == [] and told["write"] == {"items": ["self"]}
        assert datetime.datetime.fromisoformat(say(system, "caps_obj.clock", "now"))
        system.close()
    finally:
        permission.in_use = permission.in_use or before


def test_the_random_numbers_of_a_message_can_be_drawn_again_from_the_seed_in_its_record(send):
    source = "def throw(self):\n    self.items = [random.randint(1, 6) for _ in range(8)]\n    random.shuffle(self.items)\n"
    define(send, "account", source + "    self.balance = random.betavariate(2, 3)\n    return list(self.items)\n")
    thrown, seeds = [], []
    for _ in range(2):
        thrown.append(send("account", "throw"))
        seeds.append(send("kernel", "log", 1)[0]["seed"])
        again = random.Random(seeds[-1])
        items = [again.randint(1, 6) for _ in range(8)]
        again.shuffle(items)
        assert thrown[-1] == items and send("account", "balance") == again.betavariate(2, 3)
    assert len(set(seeds)) == 2
    send("account", "put", "balance", 1)
    assert "seed" not in send("kernel", "log", 1)[0]


def test_an_example_is_tried_as_whoever_defines_so_that_no_permission_hides_what_contradicts_it(send, system):
    source = "def lower(self, n):\n    self.balance = self.balance - n\n    return self.balance\n"
    examples = [{"slots": {"balance": 100}, "args": [40], "kw": {}, "result": 60}]
    define(send, "account", source)
    system.image.run(
        "an example",
        lambda root: root.account._method("lower").add_version(source, OWNER, "accepted", examples=examples),
    )
    permit(send, "account", write={"balance": []})
    assert "answers 60" in refused(
        lambda: define(send, "account", source.replace("balance - n", "balance + n")), "example"
    )
    assert define(send, "account", source)["version"] == 3
