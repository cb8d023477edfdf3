#!/usr/bin/env python3
"""Google's own client takes the steps of the transfers' acceptance check against a database that speaks its protocol.

    firebase_admin_steps.py make-key FILE
        writes an RSA key for a service account (PEM, PKCS#8)
    firebase_admin_steps.py steps --database URL --control URL --service-account FILE
        prints a JSON object: for each step whether it passed, and what was seen

The database is one of the sandbox's, empty, with the sandbox's control beside it; the client is in its emulator mode. Exits
with 0 when every step passed, 1 when one did not.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
import threading
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

# A server on this machine must not be asked through a proxy.
os.environ["NO_PROXY"] = "*"
os.environ["no_proxy"] = "*"

import firebase_admin
import google.auth.exceptions
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from firebase_admin import db, exceptions
from google.auth.transport.requests import Request
from google.oauth2 import service_account

NAMESPACE = "sandbox-transfers"
# Longer than the client's own wait of three seconds before it connects again.
PATIENCE_S = 10
INCREMENTS = 20
SCOPES = [
    "https://www.googleapis.com/auth/userinfo.email",
    "https://www.googleapis.com/auth/firebase.database",
]
INDEX_TEXT = 'Index not defined, add ".indexOn": "{field}", for path "{path}", to the rules'


class Wrong(Exception):
    """A step saw something else than it should have."""


def expect(seen: Any, wanted: Any) -> Any:
    if seen != wanted:
        raise Wrong(f"saw {seen!r} instead of {wanted!r}")
    return seen


class Listener:
    """Somebody who listens by Google's client, and what they were told."""

    def __init__(self, reference: db.Reference) -> None:
        self.told: queue.Queue[tuple[str, str, Any]] = queue.Queue()
        self.registration = reference.listen(
            lambda event: self.told.put((event.event_type, event.path, event.data))
        )

    def expect(self, kind: str, path: str, data: Any) -> tuple[str, str, Any]:
        try:
            seen = self.told.get(timeout=PATIENCE_S)
        except queue.Empty:
            raise Wrong(f"was not told of {kind} {path}") from None
        return expect(seen, (kind, path, data))


class Steps:
    def __init__(self, database: str, control: str, account_file: str) -> None:
        self.database = database
        self.control = control
        self.account_file = account_file
        self.root = db.reference("judged")
        self.listener: Listener | None = None

    def steer(self, path: str, body: Any) -> None:
        requests.post(f"{self.control}/{path}", json=body, timeout=PATIENCE_S).raise_for_status()

    def streams_asked(self) -> int:
        counts = requests.get(f"{self.control}/counts", timeout=PATIENCE_S).json()
        return counts["asked"]["firebase.stream"]

    def raw(self, method: str, path: str, **more: Any) -> requests.Response:
        """The same request as the client's, for what the client does not show."""
        headers = {"Authorization": "Bearer owner"} | more.pop("headers", {})
        url = f"{self.database}/{path}.json"
        return requests.request(method, url, headers=headers, timeout=PATIENCE_S, **more)

    def listens(self) -> Any:
        """1: the stream is sent to another name of this machine, and begins with what is there."""
        self.root.set({"a": {"processed": False}})
        asked = self.streams_asked()
        port = urllib.parse.urlsplit(self.database).port
        self.steer("firebase/play", {"play": {"redirect_to": f"http://localhost:{port}"}})
        self.listener = Listener(self.root)
        told = self.listener.expect("put", "/", {"a": {"processed": False}})
        expect(self.streams_asked() - asked, 2)
        return told

    def sets(self) -> Any:
        """2: a silent write has no body, and is told where it happened."""
        assert self.listener is not None
        self.root.child("b").set({"processed": False, "name": "São João 🧾"})
        told = self.listener.expect("put", "/b", {"processed": False, "name": "São João 🧾"})
        silent = self.raw("PUT", "judged/quiet", params={"print": "silent"}, json=1)
        expect((silent.status_code, silent.content), (204, b""))
        self.listener.expect("put", "/quiet", 1)
        return told

    def updates(self) -> Any:
        """3: a write in several places is one event, its keys as deep as they were."""
        assert self.listener is not None
        self.root.update({"b/processed": True, "a/processed": True})
        return self.listener.expect("patch", "/", {"b/processed": True, "a/processed": True})

    def reads_a_version(self) -> Any:
        """4: the version comes with the value when it is asked for, and only then."""
        value, etag = self.root.child("a").get(etag=True)
        expect(value, {"processed": True})
        plain = self.raw("GET", "judged/a")
        expect("ETag" in plain.headers, False)
        expect(self.root.child("a").get_if_changed(etag), (False, None, None))
        return etag

    def writes_if_unchanged(self) -> Any:
        """5: the right version writes, the old one gets what is there instead."""
        at = self.root.child("guarded")
        at.set({"n": 1})
        _, old = at.get(etag=True)
        written, value, new = at.set_if_unchanged(old, {"n": 2})
        expect((written, value), (True, {"n": 2}))
        expect(at.set_if_unchanged(old, {"n": 3}), (False, {"n": 2}, new))
        return expect(at.get(etag=True), ({"n": 2}, new))

    def reads_nothing(self) -> Any:
        """6: what is not there has a version of its own, by which one alone can make it."""
        at = self.root.child("absent")
        expect(at.get(etag=True), (None, "null_etag"))
        expect(at.set_if_unchanged("null_etag", "first")[:2], (True, "first"))
        return expect(at.set_if_unchanged("null_etag", "second")[:2], (False, "first"))

    def counts(self) -> Any:
        """7: two at once lose no increment."""
        at = self.root.child("counter")
        faults: list[Exception] = []

        def count() -> None:
            try:
                for _ in range(INCREMENTS):
                    at.transaction(lambda value: (value or 0) + 1)
            except Exception as fault:  # The step tells of it; a thread could only print it.
                faults.append(fault)

        threads = [threading.Thread(target=count) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect(faults, [])
        return expect(at.get(), 2 * INCREMENTS)

    def pushes_and_deletes(self) -> Any:
        """8: a pushed key is new, a deletion is told as nothing, and keys alone can be had."""
        at = db.reference("pushed")
        listener = Listener(at)
        listener.expect("put", "/", None)
        keys = [at.push({"n": n}).key for n in range(3)]
        expect(keys, sorted(set(keys)))
        for n, key in enumerate(keys):
            listener.expect("put", f"/{key}", {"n": n})
        at.child(keys[0]).delete()
        listener.expect("put", f"/{keys[0]}", None)
        return expect(at.get(shallow=True), {keys[1]: True, keys[2]: True})

    def queries(self) -> Any:
        """9: a query finds what it should, and says which rule it lacks."""
        at = db.reference("Transfer")
        at.set({"k1": {"processed": False}, "k2": {"processed": True}, "k3": {"other": 1}, "k4": {"processed": False}})
        pending = at.order_by_child("processed").equal_to(False)
        expect(dict(pending.get()), {"k1": {"processed": False}, "k4": {"processed": False}})
        page = at.order_by_key().start_at("k2").limit_to_first(2).get()
        expect(list(page), ["k2", "k3"])
        last = at.order_by_child("processed").limit_to_last(1).get()
        expect(list(last), ["k2"])
        try:
            at.order_by_child("other").equal_to(1).get()
        except exceptions.InvalidArgumentError as refused:
            return expect(str(refused), INDEX_TEXT.format(field="other", path="/Transfer"))
        raise Wrong("a query without a rule was answered")

    def bears_a_cut(self) -> Any:
        """10: after a connection that was cut in the middle of an event, all comes anew."""
        at = db.reference("cut")
        at.set({"n": 1})
        self.steer("firebase/play", {"play": {"cut_in": 1}})
        listener = Listener(at)
        listener.expect("put", "/", {"n": 1})
        at.child("n").set(2)
        return listener.expect("put", "/", {"n": 2})

    def connects_again(self) -> Any:
        """11: after its credential ended, all comes anew."""
        at = db.reference("revoked")
        at.set({"n": 1})
        listener = Listener(at)
        listener.expect("put", "/", {"n": 1})
        self.steer("firebase/tell", {"auth_revoked": {"quoted": False}})
        return listener.expect("put", "/", {"n": 1})

    def signs_in(self) -> Any:
        """12: Google's own sign-in is understood, and another's is not."""
        granted = service_account.Credentials.from_service_account_file(self.account_file, scopes=SCOPES)
        granted.refresh(Request())
        read = self.raw("GET", "judged/a", headers={"Authorization": f"Bearer {granted.token}"})
        expect((read.status_code, read.json()), (200, {"processed": True}))
        account = json.loads(Path(self.account_file).read_text(encoding="utf-8"))
        stranger = service_account.Credentials.from_service_account_info(
            account | {"private_key": new_key()}, scopes=SCOPES
        )
        without = service_account.Credentials.from_service_account_file(self.account_file, scopes=SCOPES[:1])
        for refused in (stranger, without):
            try:
                refused.refresh(Request())
            except google.auth.exceptions.RefreshError:
                continue
            raise Wrong("somebody else was let in")
        return expect(self.raw("GET", "judged", headers={"Authorization": "Bearer x"}).status_code, 401)

    def ends_with_its_token(self) -> Any:
        """13: a stream says that the token which opened it has ended, and nobody enters by it any more."""
        granted = service_account.Credentials.from_service_account_file(self.account_file, scopes=SCOPES)
        granted.refresh(Request())
        headers = {"Authorization": f"Bearer {granted.token}", "Accept": "text/event-stream"}
        with self.raw("GET", "judged/a", headers=headers, stream=True) as stream:
            lines = stream.iter_lines(chunk_size=1, decode_unicode=True)
            expect([next(lines) for _ in range(3)][0], "event: put")
            requests.post(f"{self.control}/expire-tokens", timeout=PATIENCE_S).raise_for_status()
            said = list(lines)
        expect(said[:2], ["event: auth_revoked", "data: credential is no longer valid"])
        del headers["Accept"]
        return expect(self.raw("GET", "judged/a", headers=headers).status_code, 401)

    def all(self) -> list[Callable[[], Any]]:
        return [
            self.listens,
            self.sets,
            self.updates,
            self.reads_a_version,
            self.writes_if_unchanged,
            self.reads_nothing,
            self.counts,
            self.pushes_and_deletes,
            self.queries,
            self.bears_a_cut,
            self.connects_again,
            self.signs_in,
            self.ends_with_its_token,
        ]


def new_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode("ascii")


def take(steps: Steps) -> dict[str, Any]:
    verdict: dict[str, Any] = {}
    for number, step in enumerate(steps.all(), start=1):
        try:
            verdict[str(number)] = {"passed": True, "saw": repr(step())}
        except Exception as fault:  # Whatever goes wrong in a step is that step's verdict.
            verdict[str(number)] = {"passed": False, "saw": f"{type(fault).__name__}: {fault}"}
    return verdict


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Google's client against a Realtime Database.")
    acts = parser.add_subparsers(dest="act", required=True)
    making = acts.add_parser("make-key")
    making.add_argument("file", type=Path)
    judging = acts.add_parser("steps")
    judging.add_argument("--database", required=True)
    judging.add_argument("--control", required=True)
    judging.add_argument("--service-account", required=True)
    return parser.parse_args()


def main() -> int:
    given = arguments()
    if given.act == "make-key":
        given.file.touch(mode=0o600)
        given.file.write_text(new_key(), encoding="ascii")
        return 0
    os.environ["FIREBASE_DATABASE_EMULATOR_HOST"] = urllib.parse.urlsplit(given.database).netloc
    firebase_admin.initialize_app(options={"databaseURL": f"https://{NAMESPACE}.firebaseio.example"})
    verdict = take(Steps(given.database, given.control, given.service_account))
    print(json.dumps(verdict, ensure_ascii=False, indent=1), flush=True)
    # The client's listeners read on in threads of their own, and connect again for ever; they end with the process.
    os._exit(0 if all(step["passed"] for step in verdict.values()) else 1)


if __name__ == "__main__":
    sys.exit(main())
