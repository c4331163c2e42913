"""A small hub on the loopback interface: the endpoints that `incarnate OWNER/NAME` speaks to, and faults."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

REVISION = "5f0b02c75b57c5855da9ae460ce51323ea669d8a"
SMALL = 2_000  # bytes up to which a file has git's blob id and no sha256, as on the real hub


class Hub:
    """Serves `folder` as the model `name`.

    cut        file name -> after how many bytes its first answers break off
    spoiled    names of files whose bytes are not what was promised
    asked      how often each path was asked for, with its Range
    """

    def __init__(self, folder: Path, name: str = "tiny/llama", licence: str = "apache-2.0"):
        self.folder, self.name, self.licence = folder, name, licence
        self.cut: dict[str, list[int]] = {}
        self.spoiled: set[str] = set()
        self.gated = False
        self.asked: list[tuple[str, str | None]] = []
        self.statuses: Counter[int] = Counter()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                hub.answer(self)

            def do_HEAD(self):
                hub.answer(self)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def siblings(self) -> list[dict]:
        told = []
        for file in sorted(self.folder.iterdir()):
            data = file.read_bytes()
            one = {"rfilename": file.name, "size": len(data)}
            one["blobId"] = hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
            if len(data) > SMALL:
                one["lfs"] = {
                    "size": len(data),
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "pointerSize": 130,
                }
            told.append(one)
        return told

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        self.asked.append((path, request.headers.get("Range")))
        if path.startswith(f"/api/models/{self.name}"):
            if self.gated:
                return self.tell(request, 403, b"{}", {"X-Error-Code": "GatedRepo"})
            body = {
                "id": self.name, "modelId": self.name, "sha": REVISION, "siblings": self.siblings(),
                "cardData": {"license": self.licence}, "tags": [], "private": False, "downloads": 0, "likes": 0,
            }  # fmt: skip
            return self.tell(request, 200, json.dumps(body).encode())
        base = f"/{self.name}/resolve/{REVISION}/"
        file = self.folder / path.removeprefix(base)
        if not path.startswith(base) or not file.is_file():
            return self.tell(request, 404, b"{}", {"X-Error-Code": "RepoNotFound"})
        data = file.read_bytes()
        if file.name in self.spoiled:
            data = data[:-1] + bytes([data[-1] ^ 1])
        status, begin, headers = 200, 0, {}
        if wanted := request.headers.get("Range"):
            begin = int(wanted.removeprefix("bytes=").partition("-")[0])
            status, headers = 206, {"Content-Range": f"bytes {begin}-{len(data) - 1}/{len(data)}"}
        part = data[begin:]
        cuts = self.cut.get(file.name)
        self.tell(request, status, part, headers, cuts.pop(0) if cuts else None)

    def tell(self, request, status, body, headers=(), cut=None):
        self.statuses[status] += 1
        request.send_response(status)
        for name, value in dict(headers).items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            request.close_connection = True
