#!/usr/bin/env python3
"""A mail server of aiosmtpd's, whose messages are read by Python's own email package.

    smtp_peer.py --certificate FILE --key FILE --username NAME --password TEXT [--once STEP=ANSWER …]

Wants STARTTLS and a sign-in. Prints {"port": N} once it listens, then a line of JSON for each message that came whole:
envelope, headers, the text of both parts, and what the package found wrong with it. Each `--once` is used up by the next
message: STEP is `recipient` or `content`, ANSWER what is said instead of yes, or `cut` to hang up without a word. Ends with
its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import email
import email.policy
import hmac
import json
import ssl
import sys
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


def read(envelope: Envelope) -> dict[str, Any]:
    """The message as a mail program would show it, and everything that was wrong with it."""
    raw = envelope.original_content or b""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    parts = {kind: message.get_body((kind,)) for kind in ("plain", "html")}
    walked = list(message.walk())
    return {
        "from": envelope.mail_from,
        "to": envelope.rcpt_tos,
        "headers": {name.lower(): str(value) for name, value in message.items()},
        "header_counts": {name.lower(): len(message.get_all(name, [])) for name in message},
        "date_is_read": message["date"].datetime is not None,
        "kind": message.get_content_type(),
        "parts": [part.get_content_type() for part in walked[1:]],
        "plain": parts["plain"].get_content() if parts["plain"] else None,
        "html": parts["html"].get_content() if parts["html"] else None,
        "defects": [str(defect) for part in walked for defect in part.defects],
        "header_defects": [str(defect) for value in message.values() for defect in value.defects],
    }


class Desk:
    """Takes what comes, as the command line says."""

    def __init__(self, once: list[str]) -> None:
        self.once = [tuple(text.split("=", 1)) for text in once]

    def instead(self, step: str) -> str | None:
        for place, (wanted, answer) in enumerate(self.once):
            if wanted == step:
                del self.once[place]
                return answer
        return None

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, _: list[str]) -> str:
        answer = self.instead("recipient")
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self.instead("content")
        if answer is None or answer == "cut":
            print(json.dumps(read(envelope)), flush=True)
        if answer == "cut":
            server.transport.abort()
        return answer if answer and answer != "cut" else "250 2.0.0 Ok: queued as PEER1"


async def serve(options: argparse.Namespace) -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(options.certificate, options.key)

    def authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any) -> AuthResult:
        known = isinstance(given, LoginPassword) and hmac.compare_digest(
            given.login + b"\0" + given.password, f"{options.username}\0{options.password}".encode()
        )
        return AuthResult(success=known, handled=False)

    desk = Desk(options.once)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(
            desk,
            hostname="peer.example",
            tls_context=tls,
            require_starttls=True,
            auth_required=True,
            authenticator=authenticate,
            loop=loop,
        ),
        "127.0.0.1",
        0,
    )
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    # A stdin that has ended means that whoever started us has gone.
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("certificate", "key", "username", "password"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--once", action="append", default=[])
    asyncio.run(serve(parser.parse_args()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
