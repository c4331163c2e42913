"""What the stories share: an empty folder for an image, a free endpoint, and a real awake image.

`awake` is one process for the whole session, with the embedded mind in it; a story that kills,
damages or fills its image awakens its own with `awaken`.  Only processes started here are ended here.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.living import Awake, free_tcp_endpoint, run_batos

# Before anything imports torch or a tokenizer: no hub, no settings of the person who runs the suite, and
# no more threads than a small machine has, so that times mean the same on a large one.
for _name in [name for name in os.environ if name.startswith("BATOS_")]:
    del os.environ[_name]
os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # see batos.knowledge.embedding; tests import numpy before it
os.environ.setdefault("OMP_NUM_THREADS", str(min(4, os.cpu_count() or 1)))


@pytest.fixture
def image_dir(tmp_path: Path) -> Path:
    """Where an image may be born; nothing is there yet."""
    return tmp_path / "image"


@pytest.fixture
def mind():
    """A mind that follows a script."""
    from scripted import ScriptedMind

    return ScriptedMind()


@pytest.fixture
def system(image_dir: Path, mind):
    """A running system with that mind, in this process."""
    from batos.app import System
    from batos.config import Settings

    system = System(Settings(image=image_dir, heartbeat=False, mission_seconds=20.0), mind)
    yield system
    system.close()


@pytest.fixture
def free_endpoint() -> str:
    """A loopback endpoint nobody listens at."""
    return free_tcp_endpoint()


@pytest.fixture
def cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`cli(*words, stdin="", timeout=..., cwd=...)`: the command line to its end."""
    return run_batos


@pytest.fixture
def awaken(tmp_path: Path) -> Iterator[Callable[..., Awake]]:
    """`awaken(image=None, *flags, **environ)`: a process of this test's own, ended with it."""
    started: list[Awake] = []

    def start(image: Path | None = None, *flags: str, **environ: str) -> Awake:
        one = Awake(image or tmp_path / "image", free_tcp_endpoint(), list(flags), environ)
        started.append(one)
        return one.start()

    yield start
    for one in started:
        one.end()


@pytest.fixture(scope="session")
def awake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Awake]:
    """One image awake for all stories that only talk to it."""
    one = Awake(tmp_path_factory.mktemp("awake") / "image", free_tcp_endpoint())
    try:
        yield one.start()
    finally:
        one.end()
