#!/usr/bin/env python3
"""Takes the README's tour as an outside client would: grpcio, no generated stubs, everything learnt from reflection.

    grpc_tour.py house ADDRESS < sandbox.json     the whole house; the document is what `bursar sandbox --json` prints first
    grpc_tour.py doors ADDRESS < house.json       the same store behind a door; the document is what `house` printed

`house` ends by draining, so that the house should end with 0 after it. Prints what was called:

    {"walked": ["boletos", …], "called": 110, "of": 112, "services": {"bursar.boleto.v1.BoletoService": [17, 18]},
     "never_called": ["bursar.….Method"], "granted": ["GetBoleto", …], "named": [["bursar.….Method", {"id": "…"}], …],
     "administrator": "bursar_…"}

`doors` reads persons as an administrator, asks for everything that is named in there as another tenant, and prints whom the audit
knows about: {"recorded": ["CreateToken", …], "granted": […], "strangers_asked": 31, "stream": {…}}.

Exits with 0 when every answer was as promised and every service was called, 1 when one was not (it says which call), 2 when the
input cannot be read, 3 when the server cannot be reached.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import json
import re
import sys
import traceback
from typing import Any, Callable, TextIO

import grpc
from google.protobuf.json_format import ParseError
from grpc_client import reflection
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_doors import doors
from grpc_walker import (
    ACCESS,
    BOLETO,
    CONTROL,
    CUSTOMER,
    NOTIFICATION,
    OPENBANKING,
    PATIENCE_S,
    REASON,
    STREAM_S,
    TRANSFER,
    Disappointed,
    Walker,
    must,
    until,
)

# An id as ours are, and of nothing.
NOBODY = "00000000-0000-7000-8000-000000000000"
AN_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")

# Each stop of the tour is a function: what it is called with, it may add to for those behind it.


def boletos(walk: Walker, seen: dict[str, Any]) -> None:
    service = f"{BOLETO}.BoletoService"
    due = (datetime.date.today() + datetime.timedelta(days=10)).isoformat()
    address = {
        "street": "Rua das Flores",
        "number": "308",
        "district": "Centro",
        "city": "Recife",
        "state": "PE",
        "postal_code": "50030230",
    }
    request = {
        "request_id": "tour-1",
        "amount_cents": "12590",
        "due_date": due,
        "payer": {"name": "Maria Exemplo", "tax_id": "52998224725", "address": address},
        "reference_id": "tour",
        "queue_url": seen["outside"]["queue_url"],
    }
    first = walk.ask(f"{service}/CreateBoleto", request)["boleto"]
    must(first["status"] == "BOLETO_STATUS_REGISTERED" and first["payable"], "the bank has registered it", first)
    must(walk.ask(f"{service}/CreateBoleto", request)["boleto"]["id"] == first["id"], "the same request, the same boleto", first)
    walk.refused(f"{service}/CreateBoleto", {**request, "amount_cents": "1"}, "ALREADY_EXISTS", "REQUEST_ID_REUSED")
    wrong = ["amount_cents", "due_date", "payer"]
    walk.refused(f"{service}/CreateBoleto", {}, "INVALID_ARGUMENT", "INVALID_FIELDS", wrong)
    walk.refused(f"{service}/GetBoleto", {"id": NOBODY}, "NOT_FOUND", "BOLETO_NOT_FOUND")

    several = [{**request, "request_id": f"tour-{n}"} for n in (2, 3, 4)]
    results = walk.ask(f"{service}/BatchCreateBoletos", {"requests": several})["results"]
    ids = [result["created"]["boleto"]["id"] for result in results]
    listed = walk.all_pages(f"{service}/ListBoletos", {"reference_id": "tour", "page_size": 2}, "boletos")
    must({one["id"] for one in listed} == {first["id"], *ids} and len(listed) == 4, "the list has each once", listed)
    exported = walk.hear(f"{service}/ExportBoletos", {"filter": {"reference_id": "tour"}})
    must(len(exported[0]["boletos"]) == 4, "the export has them too", exported)
    changes = walk.hear(f"{service}/WatchBoletos", {"cursor": "0", "boleto_id": first["id"]})
    must(changes[0]["changes"][0]["boleto_id"] == first["id"], "the watch tells of it", changes)

    parsed = walk.ask(f"{service}/ParseBoleto", {"code": first["linha_digitavel"]})
    must(parsed["valid"] and parsed["cobranca"]["amount_cents"] == "12590", "its line says what it costs", parsed)
    quoted = walk.ask(f"{service}/QuoteBoleto", {"id": first["id"], "on": due})
    must(quoted["total_cents"] == "12590", "nothing is added before it is late", quoted)
    drawn = walk.ask(f"{service}/RenderBoleto", {"id": first["id"], "format": "DOCUMENT_FORMAT_PDF"})
    must(base64.b64decode(drawn["content"]).startswith(b"%PDF-"), "it is drawn", drawn["content_type"])
    linked = walk.ask(f"{service}/CreateDocumentLink", {"request_id": "tour-link", "id": first["id"]})
    must(linked["url"].startswith("http"), "a link for its payer", linked)
    must(walk.ask(f"{service}/RevokeDocumentLinks", {"request_id": "tour-unlink", "id": first["id"]})["revoked"] == "1", "taken back", {})

    paid = {"request_id": "tour-paid", "id": first["id"], "paid_amount_cents": "12590", "payment_id": "tour-payment"}
    must(walk.ask(f"{service}/RecordPayment", paid)["boleto"]["status"] == "BOLETO_STATUS_PAID", "it is paid", paid)
    for name in ids:
        status = lambda: walk.ask(f"{service}/GetBoleto", {"id": name})["boleto"]
        until("registered", lambda: True if status()["status"] == "BOLETO_STATUS_REGISTERED" else None)
    later = (datetime.date.today() + datetime.timedelta(days=20)).isoformat()
    amended = walk.ask(
        f"{service}/AmendBoleto", {"request_id": "tour-amend", "id": ids[0], "due_date": later, "reason": REASON}
    )
    must("order" in amended, "an amendment is an order", amended)
    walk.ask(f"{service}/CancelBoleto", {"request_id": "tour-cancel", "id": ids[1], "reason": REASON})
    cancelled = lambda: walk.ask(f"{service}/GetBoleto", {"id": ids[1]})["boleto"]["status"]
    until("cancelled", lambda: True if cancelled() == "BOLETO_STATUS_CANCELLED" else None)
    history = walk.ask(f"{service}/GetBoletoHistory", {"id": ids[1]})
    must(history["orders"][0]["reason"] == REASON, "its history says why", history)
    open_still = {"id": ids[2], "reason": REASON, "request_id": "tour-erase-boleto"}
    walk.refused(f"{service}/EraseBoleto", open_still, "FAILED_PRECONDITION", "BOLETO_STILL_OPEN")
    seen["boleto"] = first["id"]

    held = walk.ask(f"{service}/CreateBoleto", {**request, "request_id": "tour-held", "hold_registration": True})["boleto"]
    walk.ask(f"{service}/RegisterBoleto", {"id": held["id"]})
    walk.refused(
        f"{service}/ResolveBoleto",
        {"request_id": "tour-resolve", "id": first["id"], "resolution": "BOLETO_STATUS_REFUSED", "reason": REASON},
        "FAILED_PRECONDITION",
        "NOT_IN_REVIEW",
    )


def bank_accounts(walk: Walker, seen: dict[str, Any]) -> None:
    service = f"{BOLETO}.BankAccountService"
    known = walk.ask(f"{service}/GetBankAccount", {"id": seen["bank_account_id"]})["bank_account"]
    made = ("id", "version", "create_time", "update_time", "next_sequence", "sequences_left")
    like = {key: value for key, value in known.items() if key not in made}
    like |= {"external_id": "tour", "display_name": "An account of the tour", "is_default": False}
    like["banco_do_brasil"] = {**known["banco_do_brasil"], "variacao": "27"}
    account = walk.ask(f"{service}/CreateBankAccount", {"bank_account": like, "request_id": "tour-account"})["bank_account"]
    renamed = {**account, "display_name": "Renamed"}
    for key in ("next_sequence", "sequences_left"):
        renamed.pop(key, None)
    walk.ask(f"{service}/UpdateBankAccount", {"bank_account": renamed})
    walk.ask(f"{service}/ResyncBankAccount", {"id": account["id"], "skip": "10", "reason": REASON, "request_id": "tour-resync"})
    listed = walk.all_pages(f"{service}/ListBankAccounts", {"page_size": 3}, "bank_accounts")
    must(account["id"] in [one["id"] for one in listed], "it is listed", listed)
    walk.ask(f"{service}/ReconcileBankAccount", {"id": seen["bank_account_id"]})
    walk.ask(f"{service}/ListReconciliations")
    walk.ask(f"{service}/ListDifferences")
    walk.refused(f"{service}/SettleDifference", {"id": NOBODY, "reason": REASON}, "NOT_FOUND", "DIFFERENCE_NOT_FOUND")
    walk.refused(f"{service}/CreateBankAccount", {}, "INVALID_ARGUMENT", "INVALID_FIELDS", ["bank_account.display_name"])


def notifications(walk: Walker, seen: dict[str, Any]) -> None:
    service = f"{NOTIFICATION}.NotificationService"
    like = {"sqs": {"queue_url": seen["outside"]["queue_url"]}, "event_types": ["boleto.paid"]}
    endpoint = walk.ask(f"{service}/CreateEndpoint", {"endpoint": like})["endpoint"]
    name = {"id": endpoint["id"]}
    tested = walk.ask(f"{service}/TestEndpoint", name)
    must(tested["attempt"]["outcome"] == "OUTCOME_ACCEPTED", "it takes what it is sent", tested)
    walk.ask(f"{service}/GetEndpoint", name)
    walk.ask(f"{service}/UpdateEndpoint", {"endpoint": {**name, "event_types": ["*"]}, "update_mask": "eventTypes", "reason": REASON})
    walk.ask(f"{service}/DisableEndpoint", {**name, "reason": REASON})
    walk.ask(f"{service}/EnableEndpoint", {**name, "reason": REASON})
    signed = {"webhook": {"url": seen["outside"]["webhook_url"]}, "event_types": ["boleto.cancelled"]}
    signing = walk.ask(f"{service}/CreateEndpoint", {"endpoint": signed})
    rotated = walk.ask(f"{service}/RotateEndpointSecret", {"id": signing["endpoint"]["id"], "reason": REASON})
    must(rotated["secret"].startswith("whsec_") and rotated["secret"] != signing["secret"], "another secret", {})
    listed = walk.all_pages(f"{service}/ListEndpoints", {"page_size": 2}, "endpoints")
    webhook = next(one for one in listed if "webhook" in one and "*" in one["event_types"])

    def delivered() -> dict[str, Any] | None:
        request = {"endpoint_id": webhook["id"], "subject_id": seen["boleto"]}
        found = walk.ask(f"{service}/ListDeliveries", request).get("deliveries", [])
        return next((one for one in found if one["state"] == "STATE_DELIVERED"), None)

    delivery = until("the webhook is told of the payment", delivered)
    about = {"endpoint_id": delivery["endpoint_id"], "subject_id": delivery["subject_id"]}
    attempts = walk.ask(f"{service}/ListDeliveryAttempts", about)["attempts"]
    must(attempts[-1]["outcome"] == "OUTCOME_ACCEPTED", "it was taken", attempts)
    again = {**about, "event_id": attempts[-1]["event_id"], "reason": REASON, "request_id": "tour-resend"}
    walk.ask(f"{service}/ResendDelivery", again)
    sent = lambda: [one for one in walk.ask(f"{service}/ListDeliveryAttempts", about)["attempts"] if one.get("resend")]
    until("it is sent again", lambda: sent() or None)
    walk.refused(f"{service}/CancelDelivery", {**about, "subject_id": NOBODY, "reason": REASON}, "NOT_FOUND", "DELIVERY_NOT_FOUND")
    walk.ask(f"{service}/RecoverDeliveries", {"endpoint_id": webhook["id"], "reason": REASON, "since": now()})


def transfers(walk: Walker, seen: dict[str, Any]) -> None:
    service = f"{TRANSFER}.TransferService"
    feed = walk.ask(f"{service}/ListFeeds")["feeds"][0]

    def analysed() -> dict[str, Any] | None:
        found = walk.all_pages(f"{service}/ListTransfers", {"page_size": 1}, "transfers")
        return next((one for one in found if one["state"] == "STATE_DONE"), None)

    transfer = until("a questioning of the sandbox's is analysed", analysed)
    name = {"id": transfer["id"]}
    must(walk.ask(f"{service}/GetTransfer", name)["transfer"]["key"] == transfer["key"], "the one that was listed", transfer)
    found = walk.ask(f"{service}/FindTransfer", {"key": transfer["key"], "feed": transfer["feed"]})
    must(len(found["answers"]) > 0, "with its answers", found)
    steps = walk.hear(
        f"{service}/ProcessTransfer", {"key": transfer["key"], "feed": transfer["feed"], "follow": True}, responses=100
    )
    must("end" in steps[-1], "one that has ended is told to its end", steps)
    analysis = walk.ask(f"{service}/GetAnalysis", {**name, "reason": REASON})
    must(analysis["run"] is not None and len(analysis["answers"]) > 0, "its analysis", analysis)
    changes = walk.hear(f"{service}/WatchTransfers", {"cursor": "0", "transfer_id": transfer["id"]})
    must(changes[0]["changes"][0]["transfer_id"] == transfer["id"], "what has become of it", changes)
    walk.ask(f"{service}/ListTransferChanges", name)
    counted = walk.ask(
        f"{service}/ReprocessTransfer", {"filter": {"feed": transfer["feed"]}, "dry_run": True, "reason": REASON}
    )
    must(int(counted["transfers"]) >= 1, "what another analysis would be of", counted)
    walk.ask(f"{service}/EraseTransfer", {**name, "reason": REASON, "request_id": "tour-erase"})
    must(bool(feed), "a feed", feed)


def open_banking(walk: Walker, seen: dict[str, Any]) -> None:
    users, consents = f"{OPENBANKING}.UserService", f"{OPENBANKING}.ConsentService"
    accounts, syncs, payments = (f"{OPENBANKING}.{name}Service" for name in ("Account", "Sync", "Payment"))

    def followed() -> dict[str, Any] | None:
        found = walk.all_pages(f"{payments}/ListPayments", {"page_size": 1}, "payments")
        return next((one for one in found if one["state"] == "STATE_DONE"), None)

    # It is the last thing that a sandbox shows at its start.
    payment = until("a payment of the sandbox's has come to its end", followed)
    walk.ask(f"{users}/PutUsers", {"users": [{"external_id": "tour-nobody", "update_offline": True}]})
    walk.ask(f"{users}/GetUser", {"external_id": "tour-nobody"})
    update = {"request_id": "tour-user", "external_id": "tour-nobody", "update_offline": False, "reason": REASON}
    walk.ask(f"{users}/UpdateUser", update)
    listed = walk.all_pages(f"{users}/ListUsers", {"page_size": 1}, "users")
    must({"tour-nobody", CUSTOMER} <= {one["external_id"] for one in listed}, "each customer", listed)
    theirs = walk.all_pages(f"{consents}/ListConsents", {"user_external_id": CUSTOMER, "page_size": 1}, "consents")
    must(all(one["status"] == "STATUS_VALID" for one in theirs) and len(theirs) == 2, "two consents hold", theirs)
    walk.ask(f"{consents}/GetConsent", {"id": theirs[0]["id"]})
    tomorrow = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)).isoformat()
    given = {"user_external_id": "tour-nobody", "aspsp": theirs[0]["aspsp"], "external_id": "tour-consent"}
    given |= {"valid_until_time": tomorrow, "status": "STATUS_RECEIVED"}
    imported = walk.ask(f"{consents}/ImportConsents", {"consents": [given]})["results"][0]
    walk.ask(f"{consents}/RevokeConsent", {"request_id": "tour-revoke", "id": imported["id"], "reason": REASON})

    must(len(walk.ask(f"{syncs}/ListAspsps")["aspsps"]) >= 2, "both banks", {})
    planned = walk.ask(f"{syncs}/PlanSync")
    must(int(planned["users"]) >= 1, "what a refreshing would ask", planned)
    begun = walk.ask(f"{syncs}/SyncUser", {"request_id": "tour-sync", "external_id": CUSTOMER, "reason": REASON})["run"]
    ended = walk.run_of(begun)
    must(ended["state"] == "JOB_RUN_STATE_COMPLETED", "their accounts are refreshed", ended)
    visits = walk.ask(f"{syncs}/ListSessions", {"run_id": begun["id"]})["sessions"]
    must(len(visits) == 2, "a visit for each consent", visits)
    must(len(walk.ask(f"{syncs}/ListCalls", {"run_id": begun["id"]})["calls"]) >= 2, "with its calls", visits)

    account = walk.all_pages(f"{accounts}/ListAccounts", {"user_external_id": CUSTOMER, "page_size": 1}, "accounts")[0]
    walk.ask(f"{accounts}/GetAccount", {"id": account["id"], "reason": REASON})
    about = {"account_id": account["id"], "reason": REASON}
    walk.ask(f"{accounts}/ListBalances", about)
    booked = walk.all_pages(f"{accounts}/ListTransactions", {**about, "page_size": 2}, "transactions")
    streamed = walk.hear(f"{accounts}/StreamTransactions", about)
    must(len(streamed[0]["transactions"]) == len(booked) > 0, "the stream has what the list has", booked)
    walk.ask(f"{accounts}/ListPendingTransactions", about)
    for enabled in (False, True):
        walk.ask(f"{accounts}/EnableAccount", {"id": account["id"], "enabled": enabled, "reason": REASON})

    walk.ask(f"{payments}/GetPayment", {"id": payment["id"]})
    stated = walk.hear(f"{payments}/WatchPayments", {"ids": [payment["id"]]})
    must(stated[0]["payment"]["id"] == payment["id"], "as it stands", stated)
    new = {"aspsp": payment["aspsp"], "external_id": "tour-payment", "product": payment.get("product", "")}
    tracked = walk.ask(f"{payments}/TrackPayments", {"payments": [{**new, "user_external_id": CUSTOMER}]})["results"][0]
    walk.refused(
        f"{payments}/ResolvePayment",
        {"request_id": "tour-resolve", "id": tracked["id"], "state": "STATE_DONE", "reason": ""},
        "INVALID_ARGUMENT",
        "INVALID_FIELDS",
        ["reason"],
    )
    walk.ask(f"{users}/EraseUser", {"request_id": "tour-gone", "external_id": "tour-nobody", "reason": REASON})


def control(walk: Walker, seen: dict[str, Any]) -> None:
    service = f"{CONTROL}.ControlService"
    must(walk.ask(f"{service}/GetInfo")["ready"], "it is ready", {})
    walk.ask(f"{service}/ReloadConfig")
    root = walk.ask(f"{service}/GetTree")["root"]
    pictures = walk.hear(f"{service}/WatchTree")
    must(pictures[0]["root"]["path"] == root["path"], "the same tree", pictures[0]["root"]["path"])
    actor = "house/workers/notifiers/sqs"
    for method in ("PauseActor", "ResumeActor", "RestartActor", "StopActor", "StartActor"):
        walk.ask(f"{service}/{method}", {"path": actor})
    walk.refused(f"{service}/RestartActor", {"path": "house/nobody"}, "NOT_FOUND", "ACTOR_NOT_FOUND")
    slots = walk.ask(f"{service}/ResizePool", {"pool": "analysis", "slots": 8})
    must(slots["slots"] == 8, "the pool has another size", slots)
    must(len(walk.ask(f"{service}/ListProcesses")["processes"]) >= 1, "this process", {})

    queue = {"name": "delivery/sqs/"}
    walk.ask(f"{service}/PauseQueue", {**queue, "reason": REASON})
    names = [one["name"] for one in walk.all_pages(f"{service}/ListQueues", {}, "queues")]
    must(queue["name"] in names, "the queue is listed while it is held back", names)
    must(walk.ask(f"{service}/ResumeQueue", queue)["was_paused"], "it goes on", queue)

    ended = walk.all_pages(f"{service}/ListWork", {"states": ["WORK_STATE_COMPLETED"], "page_size": 50}, "work")
    walk.ask(f"{service}/GetWork", {"id": ended[0]["id"]})
    for method in ("RetryWork", "CancelWork"):
        walk.refused(f"{service}/{method}", {"id": ended[0]["id"], "reason": REASON}, "FAILED_PRECONDITION", "WORK_ENDED")
    dead = {"states": ["WORK_STATE_DISCARDED"], "kind": "tour.nothing"}
    retried = walk.ask(f"{service}/BatchRetryWork", {"filter": dead, "reason": REASON})
    must(not retried.get("retried", 0), "there is nothing of that kind", retried)
    walk.ask(f"{service}/BatchCancelWork", {"filter": {"kind": "tour.nothing"}, "reason": REASON})

    job = {"job": "payment_update"}
    must(len(walk.ask(f"{service}/ListSchedules")["schedules"]) >= 1, "a timetable", {})
    walk.ask(f"{service}/PauseSchedule", {**job, "reason": REASON})
    must("pause" in walk.ask(f"{service}/GetSchedule", job)["schedule"], "its slots are held back", job)
    walk.ask(f"{service}/ResumeSchedule", job)
    wish = {**job, "reason": REASON, "allow_overlap": True, "request_id": "tour-job"}
    run = walk.ask(f"{service}/TriggerJob", wish)["run"]
    must(walk.ask(f"{service}/TriggerJob", wish)["run"]["id"] == run["id"], "the same request, the same run", run)
    walk.hear(f"{service}/WatchJobRuns", {"id": run["id"]})
    walk.run_of(run)
    runs = walk.all_pages(f"{service}/ListJobRuns", {**job, "page_size": 2}, "runs")
    must(run["id"] in [one["id"] for one in runs], "it is listed", runs)
    walk.refused(f"{service}/CancelJobRun", {"id": run["id"], "reason": REASON}, "FAILED_PRECONDITION", "JOB_RUN_ENDED")
    until_time = datetime.datetime.now(datetime.timezone.utc)
    window = {"after": (until_time - datetime.timedelta(days=2)).isoformat(), "until": until_time.isoformat()}
    walk.ask(f"{service}/BackfillJob", {**job, **window, "dry_run": True, "reason": REASON})


def access(walk: Walker, seen: dict[str, Any]) -> None:
    """Where everybody may do everything; what tokens are worth, `doors` finds out."""
    tokens, audit = f"{ACCESS}.TokenService", f"{ACCESS}.AuditService"
    made = walk.ask(f"{tokens}/CreateToken", {"name": "the administrator", "scopes": ["admin"], "reason": REASON})
    spare = walk.ask(f"{tokens}/CreateToken", {"name": "a spare", "scopes": ["boleto.read"], "reason": REASON})
    walk.ask(f"{tokens}/RevokeToken", {"prefix": spare["token"]["prefix"], "reason": REASON})
    states = {one["prefix"]: one["state"] for one in walk.all_pages(f"{tokens}/ListTokens", {"page_size": 1}, "tokens")}
    must(states[spare["token"]["prefix"]] == "STATE_REVOKED", "it is listed as what it is", states)
    must(states[made["token"]["prefix"]] == "STATE_ACTIVE", "the other opens doors", states)
    records = walk.all_pages(f"{audit}/ListAudit", {"page_size": 50}, "records")
    must({"PauseQueue", "ResendDelivery", "CreateToken"} <= {one["method"] for one in records}, "who did what", records)
    verified = walk.ask(f"{audit}/VerifyAudit")
    must(verified["complete"] and "break" not in verified, "and nobody has changed it", verified)
    seen["administrator"] = made["secret"]


def leaving(walk: Walker, seen: dict[str, Any]) -> None:
    """Health is asked and watched, then the house drains, and whoever watches is told."""
    stub = health_pb2_grpc.HealthStub(walk.channel)
    names = health_pb2.HealthCheckResponse.ServingStatus
    must(stub.Check(health_pb2.HealthCheckRequest(service=""), timeout=PATIENCE_S).status == names.SERVING, "it serves", {})
    watched = stub.Watch(health_pb2.HealthCheckRequest(service=f"{BOLETO}.BoletoService"), timeout=STREAM_S)
    must(next(watched).status == names.SERVING, "the service serves", {})
    walk.ask(f"{CONTROL}.ControlService/Drain")
    heard: list[str] = []
    try:
        heard = [names.Name(answer.status) for answer in watched]
    except grpc.RpcError as ended:
        must(ended.code() == grpc.StatusCode.UNAVAILABLE, "the watch ends because the house does", str(ended))
    must(heard[:1] in ([], ["NOT_SERVING"]), "nobody is sent there any more", heard)


HOUSE: list[Callable[[Walker, dict[str, Any]], None]] = [
    boletos,
    bank_accounts,
    notifications,
    transfers,
    open_banking,
    control,
    access,
    leaving,
]


def house(channel: grpc.Channel, source: TextIO) -> tuple[dict[str, Any], int]:
    seen = json.load(source)
    walk = Walker(channel)
    ours = methods(walk)
    walked = []
    for stop in HOUSE:
        stop(walk, seen)
        walked.append(stop.__name__)
    services: dict[str, list[int]] = {}
    for name in sorted(ours):
        called, of = services.setdefault(name.rpartition(".")[0], [0, 0])
        services[name.rpartition(".")[0]] = [called + (name in walk.called), of + 1]
    answer = {
        "walked": walked,
        "called": len(ours & walk.called),
        "of": len(ours),
        "services": services,
        "never_called": sorted(ours - walk.called),
        "granted": walk.done(),
        "named": [[method, request] for method, request in walk.granted if names_something(method, request)],
        "administrator": seen["administrator"],
    }
    return answer, 0 if all(called for called, _ in services.values()) else 1


def names_something(method: str, request: dict[str, Any]) -> bool:
    """Whether it is about something of a tenant's, by its id or the owner's name for it."""
    if method.startswith((f"{CONTROL}.", f"{ACCESS}.")):
        return False
    named = [value for value in request.values() if isinstance(value, str)]
    # What is to be changed carries its own id.
    named += [value["id"] for value in request.values() if isinstance(value, dict) and isinstance(value.get("id"), str)]
    return any(AN_ID.fullmatch(value) or value == CUSTOMER for value in named)


def methods(walk: Walker) -> set[str]:
    """Every method of our services, as reflection tells them."""
    names = [name for name in reflection(walk.channel, "v1").get_services() if not name.startswith("grpc.")]
    return {f"{name}.{method.name}" for name in names for method in walk.caller.pool.FindServiceByName(name).methods}


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


def main(source: TextIO) -> int:
    parser = argparse.ArgumentParser(description="The README's tour, taken by an outside client.")
    parser.add_argument("act", choices=["house", "doors"])
    parser.add_argument("address", help="host:port, with or without http://")
    given = parser.parse_args()
    # A proxy that the environment names is none of this machine's own business.
    with grpc.insecure_channel(given.address.removeprefix("http://"), options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=PATIENCE_S)
            answer, code = (house if given.act == "house" else doors)(channel, source)
        except Disappointed as fault:
            answer, code = {"disappointed": str(fault)}, 1
        except grpc.FutureTimeoutError:
            answer, code = {"unreachable": f"no answer from {given.address}"}, 3
        except (ValueError, KeyError, IndexError, TypeError, ParseError) as fault:
            traceback.print_exception(fault)
            return 2
    print(json.dumps(answer, ensure_ascii=False))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.stdin))
