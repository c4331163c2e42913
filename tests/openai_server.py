"""A small server that speaks OpenAI's completions on the loopback interface: a mind of the suite behind it.

It does what vLLM does as far as a client sees it, adapters as models and grammars included, and fails on demand.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from batos import errors
from batos.mind.engine import Limits


class OpenAiServer:
    """Serves `mind` (anything with `generate`) as the model `name` and its `adapters`.

    failing   how many of the next requests end with 503
    silent    say nothing after the headers, for ever
    grammars  False: what it is told of grammars is ignored
    """

    def __init__(
        self, mind: Any, name: str, adapters: list[str], owner: str = "vllm", key: str | None = None
    ):
        self.mind, self.name, self.adapters, self.owner, self.key = mind, name, adapters, owner, key
        self.failing, self.silent, self.grammars = 0, False, True
        self.asked: list[tuple[str, dict]] = []
        self.let_go = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                server.answer(self, {})

            def do_POST(self):
                server.answer(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.let_go.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request: BaseHTTPRequestHandler, body: dict) -> None:
        path = request.path.removeprefix("/v1")
        self.asked.append((path, body))
        if self.failing:
            self.failing -= 1
            return self.tell(request, 503, {"error": {"message": "busy"}})
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return self.tell(request, 401, {"error": {"message": "who are you"}})
        if path == "/models":
            models = [
                {"id": each, "object": "model", "owned_by": self.owner}
                for each in [self.name, *self.adapters]
            ]
            return self.tell(request, 200, {"object": "list", "data": models})
        if body["model"] not in (self.name, *self.adapters):
            return self.tell(request, 404, {"error": {"message": f"no model {body['model']}"}})
        grammar = body.get("grammar") or (body.get("structured_outputs") or {}).get("grammar")
        limits = Limits(
            body["max_tokens"], body.get("temperature", 0.0), body.get("top_p", 1.0), body.get("seed"),
            time.monotonic() + 60,
        )  # fmt: skip
        chat = path == "/chat/completions"
        prompt = "\n".join(each["content"] for each in body["messages"]) if chat else body["prompt"]
        expert = None if body["model"] == self.name else body["model"]
        gone, begun = threading.Event(), []

        def event(text: str, finish: str | None, logprob: float | None) -> None:
            if not begun:
                begun.append(request.send_response(200))
                request.send_header("Content-Type", "text/event-stream")
                request.send_header("Connection", "close")
                request.end_headers()
                request.close_connection = True
            said = {"delta": {"content": text}} if chat else {"text": text}
            logprobs = {"token_logprobs": [logprob]} if logprob is not None else None
            choice = {"index": 0, **said, "finish_reason": finish, "logprobs": logprobs}
            try:
                request.wfile.write(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n")
                request.wfile.flush()
            except OSError:
                gone.set()  # the client has enough

        if self.silent:
            event("", None, None)
            self.let_go.wait(60)
            return None
        try:
            (draft,) = self.mind.generate(
                [prompt], expert, grammar if self.grammars else None, limits, gone,
                tell=lambda _, text: event(text, None, None),
            )  # fmt: skip
        except errors.TooLarge as exc:
            return self.tell(request, 400, {"error": {"message": f"maximum context length: {exc}"}})
        except errors.BatosError as exc:
            return self.tell(request, 400, {"error": {"message": str(exc)}})
        event("", draft.finish, draft.logprob)
        if (body.get("stream_options") or {}).get("include_usage") and not gone.is_set():
            usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": len(draft.tokens)}
            request.wfile.write(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n")
        if not gone.is_set():
            request.wfile.write(b"data: [DONE]\n\n")
        return None

    def tell(self, request: BaseHTTPRequestHandler, status: int, body: dict) -> None:
        data = json.dumps(body).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)
