"""What an escape would touch, each watched: a secret file in a folder anybody may write to, listeners on the
loopback interface and in the folder, a process that anybody may signal, and what could be left behind."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from batos.guardian.wall import NOBODY

LEFT_BEHIND = ("/proc/sysvipc/shm", "/proc/sysvipc/sem", "/proc/sysvipc/msg")


class Canaries:
    """`with Canaries() as canaries:`; `touched()` names what an escape has touched since it was asked last.

    Everything is open to the user `nobody`, so that no ordinary permission stands in for a wall.
    """

    def __enter__(self) -> Canaries:
        self.secret, self.won = secrets.token_hex(12), secrets.token_hex(12)
        self.folder = Path(tempfile.mkdtemp(prefix="batos-escapes-"))
        self.folder.chmod(0o777)
        self.path = self.folder / "canary"
        (self.folder / "antigravity_of_batos.py").write_text("flown = True\n")
        self.path.write_text(self.secret)
        self.path.chmod(0o666)
        self._listeners = [socket.create_server(("127.0.0.1", 0))]
        self.port = self._listeners[0].getsockname()[1]
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.bind(("127.0.0.1", self.port))
        self._listeners.append(datagrams)
        names: list[Any] = [f"{self.path}.listener"]
        if sys.platform.startswith("linux"):
            names.append(f"\0batos-escape-{self.port}")
        for name in names:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(name)
            listener.listen()
            self._listeners.append(listener)
        os.chmod(names[0], 0o777)
        self._victim: subprocess.Popen[bytes] | None = None
        self.awaken_victim()
        # What a parent must not hand down: an open file, and a secret of its environment.
        self._open = self.path.open()
        os.set_inheritable(self._open.fileno(), True)
        os.environ["BATOS_ESCAPES_SECRET"] = self.secret
        self._before = self._looked()
        return self

    def awaken_victim(self) -> None:
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        self._victim = subprocess.Popen(["sleep", "600"], cwd="/", **user)
        self.pid = self._victim.pid

    def __exit__(self, *_: Any) -> None:
        del os.environ["BATOS_ESCAPES_SECRET"]
        self._victim.kill()
        self._victim.wait()
        self._open.close()
        for each in self._listeners:
            each.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def arguments(self) -> list[Any]:
        """`path, port, pid, won` of a payload."""
        return [str(self.path), self.port, self.pid, self.won]

    def told(self, text: str, won: bool = True) -> list[str]:
        """What of this text only an escape can know, or, where `won` counts, may say."""
        words = [("told the secret", self.secret), *([("said that it won", self.won)] if won else [])]
        return [what for what, word in words if word in text]

    def touched(self) -> list[str]:
        """Names of the canaries touched since the last look; the victim is replaced if it has to be."""
        found = []
        for number, each in enumerate(self._listeners):
            while select.select([each], [], [], 0)[0]:
                found.append(f"listener {number}")
                if each.type == socket.SOCK_STREAM:
                    each.accept()[0].close()
                else:
                    each.recv(1000)
        now = self._looked()
        found += [
            name for name in now.keys() | self._before.keys() if now.get(name) != self._before.get(name)
        ]
        if "victim" in found:
            self._victim.kill()
            self._victim.wait()
            self.awaken_victim()
            now = self._looked()
        self._before = now
        return sorted(found)

    def _looked(self) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for each in self.folder.rglob("*"):
            with contextlib.suppress(OSError):
                facts = each.lstat()
                told[each.name] = (facts.st_mode, facts.st_uid, facts.st_size, facts.st_mtime_ns)
        told["text"] = self.path.read_text() if self.path.exists() else None
        state = Path(f"/proc/{self.pid}/stat")
        alive = self._victim.poll() is None
        told["victim"] = (
            alive,
            state.read_text().rsplit(")", 1)[1].split()[0] in "SRD" if alive and state.exists() else alive,
        )
        for name in LEFT_BEHIND:
            with contextlib.suppress(OSError):
                told[name] = len(Path(name).read_text().splitlines())
        with contextlib.suppress(OSError):
            told["/dev/shm"] = sorted(name for name in os.listdir("/dev/shm") if "batos" in name)
        return told
