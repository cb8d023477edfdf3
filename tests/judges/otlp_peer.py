#!/usr/bin/env python3
"""Two collectors behind TLS: grpcio's server, and Python's own HTTP server.

    otlp_peer.py --certificate FILE --key FILE --header NAME

Prints {"grpc": PORT, "http": PORT} once both listen, then a line of JSON for each export that came: by what way, to which
method or path, the value of the header, and the message as base64. Ends with its standard input, and says so in a last line.
"""

from __future__ import annotations

import argparse
import base64
import json
import ssl
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc

SPEAKING = threading.Lock()


def say(line: dict[str, Any]) -> None:
    with SPEAKING:
        print(json.dumps(line), flush=True)


def heard(way: str, path: str, shown: str | None, message: bytes) -> None:
    say({"way": way, "path": path, "shown": shown, "message": base64.b64encode(message).decode()})


class Exports(grpc.GenericRpcHandler):
    """Takes every method; an empty message is everybody's answer for "all taken"."""

    def __init__(self, header: str) -> None:
        self.header = header

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        def export(message: bytes, context: grpc.ServicerContext) -> bytes:
            metadata = dict(context.invocation_metadata())
            heard("grpc", details.method, metadata.get(self.header), message)
            return b""

        return grpc.unary_unary_rpc_method_handler(export)


def http_server(header: str, context: ssl.SSLContext) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            message = self.rfile.read(int(self.headers.get("content-length", "0")))
            heard("http", self.path, self.headers.get(header), message)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Lines are for exports alone."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Whoever does not believe us hangs up during the handshake, as it should."""

    server = Server(("127.0.0.1", 0), Handler)
    # A connection shakes hands in its own thread, so that one that never does keeps nobody waiting.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--certificate", "--key", "--header"):
        parser.add_argument(name, required=True)
    args = parser.parse_args()

    with open(args.key, "rb") as key, open(args.certificate, "rb") as certificate:
        credentials = grpc.ssl_server_credentials([(key.read(), certificate.read())])
    by_grpc = grpc.server(futures.ThreadPoolExecutor(4), handlers=[Exports(args.header)])
    grpc_port = by_grpc.add_secure_port("127.0.0.1:0", credentials)
    by_grpc.start()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(args.certificate, args.key)
    by_http = http_server(args.header, context)
    threading.Thread(target=by_http.serve_forever, daemon=True).start()

    say({"grpc": grpc_port, "http": by_http.server_address[1]})
    sys.stdin.read()
    by_grpc.stop(grace=None).wait()
    by_http.shutdown()
    say({"ended": True})


if __name__ == "__main__":
    main()
