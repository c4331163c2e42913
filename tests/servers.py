"""Storage servers for the stories: PostgreSQL and ZEO, each a process of this run alone, on loopback.

PostgreSQL is found on PATH or where Debian keeps it, refuses to run as root and is therefore given to an
unprivileged user there, and a cluster of its own in a folder that goes with it.  Only what was started
here is ended here; a run that is killed takes its servers along.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

UNPRIVILEGED = ("postgres", "nobody", "daemon")  # the first that this machine has runs the server for root
DEBIAN = "/usr/lib/postgresql"
START_SECONDS = 60.0
PR_SET_PDEATHSIG = 1


def find_postgres() -> Path | None:
    """The folder with `initdb` and `postgres`, the newest where there are several; None if there is none."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path(DEBIAN).glob("*/bin"), key=lambda each: float(each.parent.name), reverse=True)
    return next((each for each in folders if (each / "initdb").exists() and (each / "postgres").exists()), None)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def _die_with_us() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


class Postgres:
    """A PostgreSQL cluster of its own: `start`, `stop`, `kill`, `database()` for the URI of an empty one.

    durable  sync as a real server does; without it a power cut would lose data, a killed process does not
    """

    def __init__(self, binaries: Path, durable: bool = False):
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="batos-postgres-"))
        self._as: dict[str, object] = {}
        if os.getuid() == 0:
            user = next(name for name in UNPRIVILEGED if name in {each.pw_name for each in pwd.getpwall()})
            entry = pwd.getpwnam(user)
            os.chown(self._folder, entry.pw_uid, entry.pw_gid)
            self._as = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        self._durable = durable
        self._process: subprocess.Popen | None = None
        self._numbers = count(1)
        self.port = free_port()
        sync = [] if durable else ["--no-sync"]
        self._run("initdb", "-D", "data", "-U", "batos", "-A", "trust", "-E", "UTF8", "--locale=C", *sync)

    def _run(self, name: str, *words: str) -> None:
        done = subprocess.run(
            [self._binaries / name, *words], cwd=self._folder, capture_output=True, text=True, timeout=120, **self._as
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{name}: {done.stderr}")

    def start(self) -> Postgres:
        """Start the server and wait until it takes connections."""
        words = {
            "listen_addresses": "127.0.0.1", "unix_socket_directories": str(self._folder), "max_connections": "60",
            "shared_buffers": "32MB", "fsync": "on" if self._durable else "off", "autovacuum": "off",
            "dynamic_shared_memory_type": "mmap",
        }  # fmt: skip
        given = [word for name, value in words.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", "data", "-p", str(self.port), *given],
                cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_us, **self._as,
            )  # fmt: skip
        import psycopg2

        end = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg2.connect(self._dsn("postgres")).close()
                return self
            except psycopg2.OperationalError as exc:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError((self._folder / "log").read_text()) from exc
                time.sleep(0.02)

    def _dsn(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=batos dbname={database}"

    def database(self) -> str:
        """The URI of a new, empty database."""
        import psycopg2

        name = f"image{next(self._numbers)}"
        connection = psycopg2.connect(self._dsn("postgres"))
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
        return f"postgresql://batos@127.0.0.1:{self.port}/{name}"

    def drop(self, uri: str) -> None:
        """Remove a database, whoever is still connected to it."""
        import psycopg2

        connection = psycopg2.connect(self._dsn("postgres"))
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {uri.rpartition('/')[2]} WITH (FORCE)")

    def drop_connections(self) -> None:
        """End every session of others, as a server does that is told to."""
        import psycopg2

        connection = psycopg2.connect(self._dsn("postgres"))
        connection.autocommit = True
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """Stop the server: SIGINT ends its sessions in order, SIGQUIT at once, as a crash would."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_SECONDS)
            self._process = None

    def remove(self) -> None:
        """Stop it for good; its data goes."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


ZEO_CONFIG = """
%import batos.image
<zeo>
  address 127.0.0.1:{port}
</zeo>
"""
ZEO_IMAGE = """
<image {number}>
  directory {directory}/{number}
</image>
"""


class Zeo:
    """A ZEO server in a process of its own, over images in folders of `directory` that are called 1, 2, 3 ...

    most  how many images it serves
    """

    def __init__(self, directory: Path, most: int = 1):
        self._directory = directory
        self._process: subprocess.Popen | None = None
        self._numbers = iter(range(1, most + 1))
        self.port = free_port()
        directory.mkdir(parents=True, exist_ok=True)
        images = "".join(ZEO_IMAGE.format(number=each + 1, directory=directory) for each in range(most))
        (directory / "zeo.conf").write_text(ZEO_CONFIG.format(port=self.port) + images)

    def database(self) -> str:
        """The URI of a new, empty image."""
        return f"zeo://127.0.0.1:{self.port}?storage={next(self._numbers)}"

    def start(self) -> Zeo:
        """Start the server and wait until it takes connections."""
        with (self._directory / "zeo.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ZEO.runzeo", "-C", str(self._directory / "zeo.conf")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_us,
            )  # fmt: skip
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return self
            except OSError as exc:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError((self._directory / "zeo.log").read_text()) from exc
                time.sleep(0.02)

    def drop(self, uri: str) -> None:
        """Nothing: an image in a few small files goes with the folder."""

    def stop(self) -> None:
        """Stop the server at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_SECONDS)
            self._process = None


@contextlib.contextmanager
def postgres(durable: bool = False) -> Iterator[Postgres]:
    """A running PostgreSQL of its own.  `LookupError` where none is installed."""
    binaries = find_postgres()
    if binaries is None:
        raise LookupError("PostgreSQL is not installed")
    server = Postgres(binaries, durable)
    try:
        yield server.start()
    finally:
        server.remove()
