"""The second part of the tour: a house that tells callers apart, on the store that the first part has filled.

Used by grpc_tour.py; it does nothing by itself.
"""

from __future__ import annotations

import json
import threading
from typing import Any, TextIO

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_walker import ACCESS, BOLETO, CONTROL, CUSTOMER, OPENBANKING, PATIENCE_S, REASON, TRANSFER, Showing, Walker, must, until

# A revocation is promised to be felt within a second; a busy machine is given more.
REVOKED_WITHIN_S = 10.0


def doors(channel: grpc.Channel, source: TextIO) -> tuple[dict[str, Any], int]:
    """A token is made, opens what it may and nothing else, and is taken back while a stream is open; another tenant finds nothing."""
    told = json.load(source)
    secret = told["administrator"]
    health = health_pb2_grpc.HealthStub(channel)
    serving = health_pb2.HealthCheckResponse.SERVING
    asked = health_pb2.HealthCheckRequest(service="")
    # Whoever listens is not ready yet, and health is told without a token.
    until("the house is ready", lambda: True if health.Check(asked, timeout=PATIENCE_S).status == serving else None)
    # What reflection tells needs a token as well.
    letting_in = grpc.intercept_channel(channel, Showing(secret))
    admin = Walker(letting_in)
    control, boletos_of = f"{CONTROL}.ControlService", f"{BOLETO}.BoletoService"
    request = {"name": "who looks", "scopes": ["control.read"], "reason": REASON}
    made = admin.ask(f"{ACCESS}.TokenService/CreateToken", request)
    shown = grpc.intercept_channel(channel, Showing(made["secret"]))
    looker = Walker(shown)
    must(looker.ask(f"{control}/GetTree")["root"]["path"] == "root", "it may look", {})
    looker.refused(f"{control}/PauseQueue", {"name": "delivery/", "reason": REASON}, "PERMISSION_DENIED", "SCOPE_MISSING")
    looker.refused(f"{boletos_of}/ListBoletos", {}, "PERMISSION_DENIED", "SCOPE_MISSING")

    ended: list[dict[str, Any]] = []
    opened = threading.Event()

    def watch() -> None:
        try:
            ended.append(looker.watch_to_its_end(f"{control}/WatchTree", opened))
        finally:
            opened.set()

    watching = threading.Thread(target=watch)
    watching.start()
    must(opened.wait(PATIENCE_S), "the stream is open", {})
    admin.ask(f"{ACCESS}.TokenService/RevokeToken", {"prefix": made["token"]["prefix"], "reason": REASON})
    watching.join(REVOKED_WITHIN_S)
    must(bool(ended) and ended[0].get("reason") == "NOT_AUTHENTICATED", "the stream ends with the token", ended)
    looker.refused(f"{control}/GetTree", {}, "UNAUTHENTICATED", "NOT_AUTHENTICATED")

    persons(admin)
    request = {"name": "a neighbour", "scopes": ["admin"], "tenant_id": "tour-neighbour", "reason": REASON}
    neighbour = Walker(grpc.intercept_channel(channel, Showing(admin.ask(f"{ACCESS}.TokenService/CreateToken", request)["secret"])))
    learnt = {method: answer for method, asked in told["named"] if (answer := neighbour.learns(method, asked)) is not None}
    must(not learnt, "a neighbour learns nothing", learnt)
    records = admin.all_pages(f"{ACCESS}.AuditService/ListAudit", {"page_size": 100}, "records")
    answer = {
        "walked": ["doors"],
        "stream": ended[0],
        "granted": admin.done(),
        "recorded": sorted({one["method"] for one in records}),
        "strangers_asked": len(told["named"]),
    }
    return answer, 0


def persons(admin: Walker) -> None:
    """Reads persons in clear; each reading is written down."""
    accounts, transfers_of = f"{OPENBANKING}.AccountService", f"{TRANSFER}.TransferService"
    admin.ask(f"{OPENBANKING}.UserService/GetUser", {"external_id": CUSTOMER})
    account = admin.ask(f"{accounts}/ListAccounts", {"user_external_id": CUSTOMER})["accounts"][0]
    admin.ask(f"{accounts}/GetAccount", {"id": account["id"]})
    for method in ("ListBalances", "ListTransactions", "ListPendingTransactions"):
        admin.ask(f"{accounts}/{method}", {"account_id": account["id"]})
    admin.hear(f"{accounts}/StreamTransactions", {"account_id": account["id"]})
    boleto = admin.ask(f"{BOLETO}.BoletoService/ListBoletos", {"reference_id": "tour"})["boletos"][0]
    admin.ask(f"{BOLETO}.BoletoService/GetBoleto", {"id": boleto["id"]})
    found = admin.all_pages(f"{transfers_of}/ListTransfers", {"page_size": 100}, "transfers")
    transfer = next(one for one in found if one["state"] == "STATE_DONE")
    admin.ask(f"{transfers_of}/GetAnalysis", {"id": transfer["id"], "reason": REASON})
