"""Walks through an API: makes calls, expects what was promised of their answers, and keeps which methods were called.

Used by grpc_tour.py and grpc_doors.py; it does nothing by itself.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any, Callable, TypeVar

import grpc
from google.protobuf.message_factory import GetMessageClass
from grpc_client import Caller, told

ACCESS, BOLETO, CONTROL = "bursar.access.v1", "bursar.boleto.v1", "bursar.control.v1"
NOTIFICATION, OPENBANKING, TRANSFER = "bursar.notification.v1", "bursar.openbanking.v1", "bursar.transfer.v1"
# The sandbox's own.
CUSTOMER = "sandbox-ana"
REASON = "the tour"
PATIENCE_S = 30.0
# A stream that is watched to its end is given up after that.
STREAM_S = 60.0
# A stream that has told nothing for that long has nothing to tell.
SILENCE_S = 2.0

T = TypeVar("T")


class Disappointed(Exception):
    """An answer was not as promised."""


def must(holds: bool, what: str, seen: Any) -> None:
    if not holds:
        raise Disappointed(f"{what}: {json.dumps(seen, ensure_ascii=False, default=str)[:2000]}")


def until(what: str, look: Callable[[], T | None]) -> T:
    """Looks again and again until there is something."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.05)
    raise Disappointed(f"{what} did not come within {PATIENCE_S} s")


class Walker:
    """Makes calls, expects what was promised, and keeps which methods were called and what was granted."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.caller = Caller(channel, "v1alpha")
        self.called: set[str] = set()
        self.granted: list[tuple[str, dict[str, Any]]] = []

    def answer(self, method: str, request: dict[str, Any], **options: Any) -> dict[str, Any]:
        self.called.add(method.replace("/", "."))
        answer = self.caller.call({"method": method, "request": request, **options})
        if answer["ok"]:
            self.granted.append((method, request))
        return answer

    def done(self) -> list[str]:
        """The methods that have done what they were asked, by their own names."""
        return sorted({method.rpartition("/")[2] for method, _ in self.granted})

    def ask(self, method: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.answer(method, request or {})
        must(answer["ok"], method, answer)
        return answer["response"]

    def hear(self, method: str, request: dict[str, Any] | None = None, responses: int = 1) -> list[dict[str, Any]]:
        """The first answers of a stream."""
        answer = self.answer(method, request or {}, responses_max=responses)
        must(answer["ok"], method, answer)
        return answer["responses"]

    def watch_to_its_end(self, method: str, opened: threading.Event) -> dict[str, Any]:
        """How a stream ended that told something at least once."""
        self.called.add(method.replace("/", "."))
        found = self.caller.method(method)
        request = GetMessageClass(found.input_type)()
        stream = self.channel.unary_stream(
            f"/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=GetMessageClass(found.output_type).FromString,
        )(request, timeout=STREAM_S)
        try:
            for _ in stream:
                opened.set()
            return {"code": "OK"}
        except grpc.RpcError as error:
            return told(error, [])

    def refused(self, method: str, request: dict[str, Any], code: str, reason: str, fields: list[str] | None = None) -> None:
        """An error, told with what the API promises of every error: google.rpc.Status with ErrorInfo and, of bad input, BadRequest."""
        answer = self.answer(method, request, expect_fields=fields or [])
        must(not answer["ok"] and not answer["breaches"], f"{method} is refused as promised", answer)
        must((answer["code"], answer["reason"]) == (code, reason), f"{method} is refused with {reason}", answer)

    def learns(self, method: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """What a stranger learns of what is somebody else's: nothing where it is not found, a list is empty or a stream is silent."""
        answer = self.answer(method, request, deadline_s=SILENCE_S)
        if answer["ok"]:
            told_of = answer.get("responses", [answer.get("response")])
            # Where a stream would go on is told with nothing in it.
            return None if all(one.keys() <= {"cursor"} for one in told_of) else answer
        silent = answer["code"] == "DEADLINE_EXCEEDED" and self.caller.method(method).server_streaming
        return None if silent or answer["code"] == "NOT_FOUND" else answer

    def all_pages(self, method: str, request: dict[str, Any], rows: str) -> list[dict[str, Any]]:
        """A list page by page, each by the token of the one before."""
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            page = self.ask(method, {**request, "page_token": token})
            found += page.get(rows, [])
            token = page.get("next_page_token", "")
            if not token:
                return found

    def run_of(self, run: dict[str, Any]) -> dict[str, Any]:
        """A run of a job, once it has ended."""

        def ended() -> dict[str, Any] | None:
            seen = self.ask(f"{CONTROL}.ControlService/GetJobRun", {"id": run["id"]})["run"]
            return seen if "end_time" in seen else None

        return until(f"the end of the run {run['id']}", ended)


class Showing(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Shows a token with every call, those to reflection included."""

    def __init__(self, secret: str) -> None:
        self.shown = ("authorization", f"Bearer {secret}")

    def showing(self, go_on: Any, details: grpc.ClientCallDetails, request: Any) -> Any:
        return go_on(Shown(details, [*(details.metadata or []), self.shown]), request)

    intercept_unary_unary = intercept_unary_stream = intercept_stream_stream = showing


class Shown(grpc.ClientCallDetails):
    """A call's details with other metadata."""

    def __init__(self, details: grpc.ClientCallDetails, metadata: list[tuple[str, str]]) -> None:
        self.method, self.timeout, self.metadata = details.method, details.timeout, metadata
        self.credentials = details.credentials
        self.wait_for_ready = getattr(details, "wait_for_ready", None)
        self.compression = getattr(details, "compression", None)
