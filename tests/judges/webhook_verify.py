#!/usr/bin/env python3
"""Judges a webhook by the reference library of Standard Webhooks, as its receiver would.

Reads {"secret": "whsec_…", "headers": {…}, "body": "…"} on standard input; `body` is the exact text that arrived.
Prints {"verified": true} or {"verified": false, "reason": "…"}.
Exits with 0 when the signature holds, 1 when it does not, 2 when the input cannot be judged.
"""

from __future__ import annotations

import json
import sys
from typing import TextIO

from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError


def verdict(webhook: Webhook, headers: dict[str, str], body: str) -> dict[str, object]:
    """What the library says; it looks at the clock too, and allows five minutes either way."""
    try:
        webhook.verify(body.encode(), headers)
    except WebhookVerificationError as refusal:
        return {"verified": False, "reason": str(refusal)}
    except ValueError as refusal:
        # The body is parsed only after its signature was found good.
        return {"verified": False, "reason": f"not readable: {refusal}"}
    return {"verified": True}


def main(source: TextIO) -> int:
    try:
        given = json.load(source)
        webhook, headers, body = Webhook(given["secret"]), given["headers"], given["body"]
    except (ValueError, KeyError, TypeError, EmptyWebhookSecretError) as fault:
        # Only the kind of fault, because the rest may be a piece of the secret.
        print(f"webhook_verify: cannot read the input: {type(fault).__name__}", file=sys.stderr)
        return 2
    answer = verdict(webhook, headers, body)
    print(json.dumps(answer))
    return 0 if answer["verified"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.stdin))
