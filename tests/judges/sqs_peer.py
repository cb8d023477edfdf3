#!/usr/bin/env python3
"""The other side of SQS, played by the usual AWS client: makes a queue, reads what was put into it, puts something into it.

    sqs_peer.py ENDPOINT create NAME        prints the queue's URL; a name that ends in `.fifo` makes a FIFO queue
    sqs_peer.py ENDPOINT receive URL MAX    prints a JSON list of at most MAX messages, in the order of arrival

    sqs_peer.py ENDPOINT send URL BODY      prints the message's id
    sqs_peer.py ENDPOINT depth URL          prints how many messages it holds, those included that somebody has in hand

`receive` waits up to --wait seconds (default 5) for MAX messages, and deletes what it prints, so that no message is
printed twice. Exits with 0 when the server did what it was asked, 1 when it refused or could not be reached.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

# SQS gives at most ten messages an answer.
BATCH_MAX = 10


def client(endpoint: str, region: str) -> Any:
    """A client of a server on this machine, which takes any credentials and must not be asked through a proxy."""
    return boto3.client(
        "sqs",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(proxies={}, connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1}),
    )


def create(sqs: Any, name: str) -> str:
    attributes = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
    return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]


def receive(sqs: Any, url: str, messages_max: int, wait_s: int) -> list[dict[str, Any]]:
    received: list[dict[str, Any]] = []
    deadline = time.monotonic() + wait_s
    while len(received) < messages_max:
        left_s = max(0, math.ceil(deadline - time.monotonic()))
        answer = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=min(BATCH_MAX, messages_max - len(received)),
            WaitTimeSeconds=min(20, left_s),
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages = answer.get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            received.append(plain(message))
        if not messages and left_s == 0:
            break
    return received


def send(sqs: Any, url: str, body: str) -> str:
    return sqs.send_message(QueueUrl=url, MessageBody=body)["MessageId"]


def depth(sqs: Any, url: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(answer[name]) for name in names)


def plain(message: dict[str, Any]) -> dict[str, Any]:
    """A message without the parts that only its deletion needed."""
    sent = message.get("MessageAttributes", {})
    return {
        "message_id": message["MessageId"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "message_attributes": {name: value.get("StringValue") for name, value in sent.items()},
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The other side of SQS.")
    parser.add_argument("endpoint")
    parser.add_argument("--region", default="us-east-1")
    acts = parser.add_subparsers(dest="act", required=True)
    making = acts.add_parser("create")
    making.add_argument("name")
    reading = acts.add_parser("receive")
    reading.add_argument("url")
    reading.add_argument("max", type=int)
    reading.add_argument("--wait", type=int, default=5, help="seconds")
    sending = acts.add_parser("send")
    sending.add_argument("url")
    sending.add_argument("body")
    counting = acts.add_parser("depth")
    counting.add_argument("url")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    sqs = client(given.endpoint, given.region)
    try:
        if given.act == "create":
            print(create(sqs, given.name))
        elif given.act == "send":
            print(json.dumps(send(sqs, given.url, given.body)))
        elif given.act == "depth":
            print(depth(sqs, given.url))
        else:
            print(json.dumps(receive(sqs, given.url, given.max, given.wait)))
    except (BotoCoreError, ClientError) as fault:
        print(f"sqs_peer: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
