"""`scripts/awaken` and `scripts/test` with a Python that only pretends, so that each story takes
milliseconds.  That a fresh clone really comes up is `scripts/prove_setup`'s business.

The pretended Python logs what pip is asked for, makes environments that hold a copy of itself, answers
`-c` and `-` like the real one, and prints every other command line instead of running it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

PRETENDED = """#!/bin/sh
case "$1 $2" in
    "-m venv") mkdir -p "$4/bin" && cp "$0" "$4/bin/python" && echo made >>"$LOG" ;;
    "-m pip")
        [ "$3" != --version ] || exit 0
        echo "$@" >>"$LOG"
        sleep "${PIP_SECONDS:-0}"
        case "$*" in *"${PIP_FAILS_AT:-nothing}"*) echo "no network" >&2; exit 1 ;; esac
        echo "pip chatters" ;;
    "-c "*|"- "*) exec "$REAL" "$@" ;;
    *) printf '%s\\n' "$$" "$PWD" "$@"; cat; exit "${EXIT:-0}" ;;
esac
"""


@dataclass
class Clone:
    """A repository that holds only what set-up reads, and the pretended Python."""

    root: Path
    python: Path
    log: Path

    def popen(
        self, script: str, *words: str, cwd: Path | None = None, **environ: str
    ) -> subprocess.Popen[str]:
        told = {"PYTHON": str(self.python), "LOG": str(self.log), "REAL": sys.executable} | environ
        return subprocess.Popen(
            [self.root / script, *words], cwd=cwd or self.root, env=os.environ | told, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def run(
        self, script: str, *words: str, stdin: str = "", cwd: Path | None = None, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        process = self.popen(script, *words, cwd=cwd, **environ)
        out, err = process.communicate(stdin, timeout=30)
        done = subprocess.CompletedProcess(words, process.returncode, out, err)
        done.pid = process.pid
        return done

    def asked(self) -> list[str]:
        """What was asked of Python and pip since the last look."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    root = tmp_path / "a clone"
    for name in ("scripts/awaken", "scripts/test", "scripts/setup.sh", "scripts/constraints.txt", ".ci/run"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "tests").mkdir()
    (root / "tests/test_one.py").touch()
    python = tmp_path / "python"
    python.write_text(PRETENDED)
    python.chmod(0o755)
    return Clone(root, python, tmp_path / "log")


def test_torch_is_installed_first_everything_is_pinned_and_no_index_is_named(clone: Clone):
    done = clone.run("scripts/awaken")
    assert done.returncode == 0, done.stderr
    made, torch, others, project = clone.asked()
    assert made == "made"
    assert torch.endswith("setuptools torch==2.13.0")
    assert "ZODB>=" in others and "pytest>=" not in others
    assert project.endswith(f"--no-build-isolation --no-deps --editable {clone.root}")
    for call in (torch, others, project):
        assert f"--constraint {clone.root}/scripts/constraints.txt" in call
        assert "-index" not in call and "-links" not in call and "://" not in call


def test_it_says_how_large_the_download_is_before_it_starts_and_only_on_stderr(clone: Clone):
    done = clone.run("scripts/awaken", "--help")
    size, start = done.stderr.find("MB to download"), done.stderr.find("1 of 3")
    assert 0 < size < start
    assert done.stdout.splitlines()[2:] == ["-P", "-m", "batos", "--help"]


def test_run_again_it_installs_nothing_and_hands_all_on(clone: Clone, tmp_path: Path):
    clone.run("scripts/awaken")
    clone.asked()
    words = ["send", "account", "note", "two words", "", "-5", "--", "*"]
    done = clone.run("scripts/awaken", *words, stdin="a method", cwd=tmp_path)
    assert clone.asked() == [] and done.stderr == ""
    pid, cwd, *handed = done.stdout.splitlines()
    assert handed == ["-P", "-m", "batos", *words, "a method"]
    assert cwd == str(tmp_path)
    assert int(pid) == done.pid, "batos takes the script's place, so signals reach it"


def test_the_set_up_itself_leaves_the_input_alone(clone: Clone):
    done = clone.run("scripts/awaken", "define", "account", "-", stdin="a method")
    assert done.stdout.endswith("define\naccount\n-\na method")


def test_the_exit_code_is_handed_on(clone: Clone):
    assert clone.run("scripts/awaken", EXIT="7").returncode == 7
    assert clone.run("scripts/test", EXIT="5").returncode == 5


def test_other_pins_or_another_place_are_set_up_again(clone: Clone):
    clone.run("scripts/awaken")
    clone.asked()
    with (clone.root / "scripts/constraints.txt").open("a") as pins:
        pins.write("one-more==1.0\n")
    clone.run("scripts/awaken")
    assert len(clone.asked()) == 3, "the environment is kept, pip is asked again"
    clone.root = clone.root.rename(clone.root.with_name("moved"))
    clone.run("scripts/awaken")
    assert f"--editable {clone.root}" in clone.asked()[-1]


@pytest.mark.parametrize("step", ["torch==2.13.0", "ZODB", "--editable"])
def test_a_set_up_that_fails_says_what_to_do_and_goes_on_where_it_was(clone: Clone, step: str):
    failed = clone.run("scripts/awaken", PIP_FAILS_AT=step)
    assert failed.returncode == 1 and failed.stdout == ""
    assert "no network" in failed.stderr and f"run {clone.root}/scripts/awaken again" in failed.stderr
    clone.asked()
    again = clone.run("scripts/awaken")
    assert again.returncode == 0 and "made" not in clone.asked()


def test_a_package_that_was_cut_off_is_forgotten_so_that_pip_installs_it_again(clone: Clone):
    clone.run("scripts/awaken")
    site = clone.root / ".venv/lib/python3.11/site-packages"
    for name, files in {"whole": ["INSTALLER", "RECORD"], "cut": ["RECORD"], "early": []}.items():
        (site / f"{name}-1.0.dist-info").mkdir(parents=True)
        for file in files:
            (site / f"{name}-1.0.dist-info" / file).write_text("pip\n")
    (clone.root / ".venv/batos-run.stamp").unlink()
    assert clone.run("scripts/awaken").returncode == 0
    assert [path.name for path in site.iterdir()] == ["whole-1.0.dist-info"]


def test_two_at_once_take_turns_and_install_once(clone: Clone):
    both = [clone.popen("scripts/awaken", word, PIP_SECONDS="0.2") for word in ("one", "two")]
    told = [process.communicate("", timeout=30) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert len(clone.asked()) == 4
    assert sum("waiting for it" in err for _, err in told) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_ended_in_the_middle_it_leaves_no_lock(clone: Clone, number: signal.Signals):
    first = clone.popen("scripts/awaken", PIP_SECONDS="10")
    while not clone.log.exists() or "torch" not in clone.log.read_text():
        assert first.poll() is None
    time.sleep(0.2)  # it has asked pip; now it waits for it
    os.killpg(first.pid, number)
    _, told = first.communicate()
    assert first.returncode == (130 if number == signal.SIGINT else -number), told
    assert "waiting" not in clone.run("scripts/awaken").stderr


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("echo 3.10", "is Python 3.10, batos needs 3.11 or newer"),
        ("echo 2.7", "is Python 2.7"),
        ("exit 1", "does not start"),
    ],
)
def test_a_python_that_will_not_do_is_refused_with_a_way_out(clone: Clone, answer: str, told: str):
    clone.python.write_text(f"#!/bin/sh\n{answer}\n")
    done = clone.run("scripts/awaken")
    assert done.returncode == 1 and told in done.stderr and "PYTHON=/path/to/python3" in done.stderr
    assert clone.asked() == []


def test_a_python_that_is_not_there_is_refused(clone: Clone):
    assert "there is no python9 here" in clone.run("scripts/awaken", PYTHON="python9").stderr


def test_another_python_than_the_environments_is_refused_rather_than_mixed(clone: Clone):
    clone.run("scripts/awaken")
    clone.python.write_text("#!/bin/sh\ncase $2 in *print*) echo 3.99 ;; esac\n")
    done = clone.run("scripts/awaken")
    assert done.returncode == 1 and f"rm -r {clone.root}/.venv" in done.stderr


def test_the_tests_get_their_own_packages_and_the_whole_suite(clone: Clone, tmp_path: Path):
    done = clone.run("scripts/test", "-k", "alias", cwd=tmp_path)
    *_, packages, source = clone.asked()
    assert "pytest>=" in packages and source.endswith("RestrictedPython") and " download " in source
    handed = done.stdout.splitlines()[2:]
    assert handed[:3] == ["-P", "-m", "pytest"] and handed[-3:] == ["-k", "alias", f"{clone.root}/tests"]


@pytest.mark.parametrize("named", ["tests/test_one.py", "tests/test_one.py::test_it", "tests"])
def test_tests_that_are_named_are_all_that_runs(clone: Clone, named: str):
    handed = clone.run("scripts/test", named, "-x").stdout.splitlines()
    assert handed[-2:] == [named, "-x"]


def test_continuous_integration_calls_the_same_script_without_input(clone: Clone):
    handed = clone.run(".ci/run", stdin="nobody reads this", CI_POSTGRES="no").stdout.splitlines()
    assert handed[-1] == f"{clone.root}/tests"
    assert "CI=true" in (ROOT / ".ci/run").read_text()


@pytest.mark.parametrize(
    "script", ["scripts/awaken", "scripts/test", "scripts/setup.sh", ".ci/run", "scripts/prove_setup"]
)
def test_the_scripts_are_sound_bash(script: str):
    subprocess.run(["bash", "-n", ROOT / script], check=True)
    assert script.endswith(".sh") or os.access(ROOT / script, os.X_OK)
