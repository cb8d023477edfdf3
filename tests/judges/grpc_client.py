#!/usr/bin/env python3
"""Judges the API as a stranger would meet it: grpcio, no generated stubs, everything learnt from reflection.

    grpc_client.py ADDRESS services               what reflection tells, by v1 and by v1alpha
    grpc_client.py ADDRESS health                 what grpc.health.v1 says of the whole and of each service
    grpc_client.py ADDRESS call < calls.json      makes calls, one after the other

`call` reads a list of {"method": "bursar.boleto.v1.BoletoService/CreateBoleto", "request": {…}}. Optional in each:
`metadata` (an object), `deadline_s` (default 10), `expect_fields` (the fields that must all be violated) and, for a
stream, `responses_max` (default 1), after which it is left. Field names are those of the protos, on both sides;
int64 is text, as JSON for protobuf has it. The answers, in the same order:

    {"ok": true, "response": {…}}        or, for a stream,  {"ok": true, "responses": […]}
    {"ok": false, "code": "INVALID_ARGUMENT", "message", "reason", "domain", "metadata", "violations": [{field,
     description}], "retry_after_s", "breaches": […]}

`breaches` lists where an error breaks the API's word: no ErrorInfo, no BadRequest for bad input, a field of
`expect_fields` that was not named. `--reflection v1` learns through v1 instead of v1alpha.

Exits with 0 when nothing is wrong (an error that is told as promised is not), 1 when something is, 2 when the input
cannot be read, 3 when the server or the method cannot be reached. Prints JSON in each case but 2.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import Any, TextIO

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

# AIP-193: what programs branch on.
REASON = re.compile(r"[A-Z][A-Z0-9_]{0,61}[A-Z0-9]")
DEADLINE_S = 10.0


class NotFoundByReflection(Exception):
    """Reflection knows no such method."""


class ReflectionV1:
    """The stub of grpc.reflection.v1, which the Python package lacks: its messages are v1alpha's under new names."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.ServerReflectionInfo = channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )


def reflection(channel: grpc.Channel, version: str) -> ProtoReflectionDescriptorDatabase:
    database = ProtoReflectionDescriptorDatabase(channel)
    if version == "v1":
        # The database asks everything through this one attribute, whichever version stands behind it.
        database._stub = ReflectionV1(channel)
    return database


def services(channel: grpc.Channel) -> tuple[dict[str, Any], int]:
    """The services by each version, with their methods; both must tell the same, and be able to describe it all."""
    told: dict[str, dict[str, list[str]]] = {}
    for version in ("v1", "v1alpha"):
        database = reflection(channel, version)
        pool = DescriptorPool(database)
        told[version] = {
            name: sorted(method.name for method in pool.FindServiceByName(name).methods)
            for name in sorted(database.get_services())
        }
    same = told["v1"] == told["v1alpha"] and bool(told["v1"])
    return {"same": same, **told}, 0 if same else 1


def health(channel: grpc.Channel) -> tuple[dict[str, Any], int]:
    """The health of the whole (under the empty name) and of each service but those about the API itself."""
    stub = health_pb2_grpc.HealthStub(channel)
    named = [name for name in reflection(channel, "v1alpha").get_services() if not name.startswith("grpc.")]
    answers: dict[str, str] = {}
    for name in ["", *sorted(named)]:
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=DEADLINE_S)
            answers[name] = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        except grpc.RpcError as error:
            if name == "" or error.code() != grpc.StatusCode.NOT_FOUND:
                raise
            answers[name] = "NOT_FOUND"
    return answers, 0 if set(answers.values()) == {"SERVING"} else 1


class Caller:
    """Makes calls with messages built from what reflection tells."""

    def __init__(self, channel: grpc.Channel, version: str) -> None:
        self.channel = channel
        self.pool = DescriptorPool(reflection(channel, version))

    def method(self, name: str) -> MethodDescriptor:
        service, _, method = name.strip("/").partition("/")
        try:
            return self.pool.FindServiceByName(service).methods_by_name[method]
        except KeyError:
            raise NotFoundByReflection(name) from None

    def call(self, asked: dict[str, Any]) -> dict[str, Any]:
        """One call's answer; an error of the API is an answer, one of the transport too."""
        method = self.method(asked["method"])
        request = ParseDict(asked.get("request", {}), GetMessageClass(method.input_type)(), descriptor_pool=self.pool)
        make = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        act = make(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        options = {
            "timeout": asked.get("deadline_s", DEADLINE_S),
            "metadata": list(asked.get("metadata", {}).items()),
        }
        try:
            if not method.server_streaming:
                return {"ok": True, "response": self.plain(act(request, **options))}
            return {"ok": True, "responses": self.first(act(request, **options), asked.get("responses_max", 1))}
        except grpc.RpcError as error:
            return told(error, asked.get("expect_fields", []))

    def first(self, stream: Any, responses_max: int) -> list[dict[str, Any]]:
        responses: list[dict[str, Any]] = []
        for response in stream:
            responses.append(self.plain(response))
            if len(responses) >= responses_max:
                stream.cancel()
                break
        return responses

    def plain(self, message: Any) -> dict[str, Any]:
        return MessageToDict(message, preserving_proto_field_name=True, descriptor_pool=self.pool)


def told(error: grpc.RpcError, expect_fields: list[str]) -> dict[str, Any]:
    """An error as its caller can read it, with all that is wrong about how it is told."""
    answer: dict[str, Any] = {"ok": False, "code": error.code().name, "message": error.details(), "violations": []}
    try:
        status = rpc_status.from_call(error)
    except ValueError as mismatch:
        return {**answer, "breaches": [f"the details contradict the status: {mismatch}"]}
    for detail in status.details if status else []:
        read_detail(detail, answer)
    return {**answer, "breaches": breaches(answer, expect_fields)}


def read_detail(detail: Any, answer: dict[str, Any]) -> None:
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    if detail.Unpack(info):
        answer.update(reason=info.reason, domain=info.domain, metadata=dict(info.metadata))
    elif detail.Unpack(bad):
        answer["violations"] += [{"field": v.field, "description": v.description} for v in bad.field_violations]
    elif detail.Unpack(retry):
        answer["retry_after_s"] = retry.retry_delay.ToTimedelta().total_seconds()


def breaches(answer: dict[str, Any], expect_fields: list[str]) -> list[str]:
    found: list[str] = []
    if "reason" not in answer:
        found.append("no ErrorInfo")
    elif not REASON.fullmatch(answer["reason"]) or not answer["domain"]:
        found.append("an ErrorInfo without a reason in UPPER_SNAKE_CASE or without a domain")
    if answer["code"] == "INVALID_ARGUMENT" and not answer["violations"]:
        found.append("bad input without a BadRequest")
    if not all(v["field"] and v["description"] for v in answer["violations"]):
        found.append("a violation without its field or description")
    named = {violation["field"] for violation in answer["violations"]}
    found += [f"{field} is not named" for field in expect_fields if field not in named]
    return found


def call_all(channel: grpc.Channel, version: str, calls: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    caller = Caller(channel, version)
    answers: list[dict[str, Any]] = []
    for asked in calls:
        answer = caller.call(asked)
        if answer["ok"] and asked.get("expect_fields"):
            answer["breaches"] = ["bad input was taken"]
        answers.append(answer)
    return answers, 1 if any(answer.get("breaches") for answer in answers) else 0


def judge(given: argparse.Namespace, calls: list[dict[str, Any]]) -> tuple[Any, int]:
    # A proxy that the environment names is none of this machine's own business.
    with grpc.insecure_channel(given.address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=given.connect)
            if given.act == "services":
                return services(channel)
            if given.act == "health":
                return health(channel)
            return call_all(channel, given.reflection, calls)
        except grpc.FutureTimeoutError:
            return {"unreachable": f"no answer from {given.address} within {given.connect} s"}, 3
        except grpc.RpcError as error:
            return {"unreachable": f"{error.code().name}: {error.details()}"}, 3
        except NotFoundByReflection as missing:
            return {"unreachable": f"reflection knows no method {missing}"}, 3


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The API as a stranger meets it.")
    parser.add_argument("address", help="host:port, with or without http://")
    parser.add_argument("act", choices=["services", "health", "call"])
    parser.add_argument("--reflection", choices=["v1", "v1alpha"], default="v1alpha")
    parser.add_argument("--connect", type=float, default=10.0, help="seconds to wait for a connection")
    given = parser.parse_args()
    given.address = given.address.removeprefix("http://").rstrip("/")
    return given


def main(source: TextIO) -> int:
    given = arguments()
    try:
        calls = json.load(source) if given.act == "call" else []
        answer, code = judge(given, calls)
    except (ValueError, KeyError, TypeError, ParseError) as fault:
        print(f"grpc_client: cannot read the input: {fault!r}", file=sys.stderr)
        return 2
    print(json.dumps(answer, ensure_ascii=False))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.stdin))
