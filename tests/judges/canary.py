"""Looks for planted persons and secrets in whatever a run of the stories has logged, traced and measured.

    canary.py FOLDER    the folder that BURSAR_TEST_CANARY_DIR named

Fails if one is found in any of its forms; and also if too little was told to be a run, if something was never planted, or if this search
would not find what it looks for: whoever looks at nothing finds nothing.
"""

import base64
import json
import pathlib
import re
import sys
import urllib.parse

# What a run of all stories tells at least; a fifth of what it told when this was written.
LINES_MIN = 5_000
EXPORTED_BYTES_MIN = 15_000_000
# Each of these is known to some house of some story.
KINDS = {
    "name", "tax id", "street", "postal code", "mail address", "bank's client secret", "bank's application key",
    "mail server's password", "vendor's key", "other vendor's key", "other vendor's password", "webhook's secret", "sealing key",
}
# What must be there: a line of ours, spans and metrics by name.
EVIDENCE = [b'"listening"', b"boleto.register", b"notification.deliver", b"rpc.server.duration"]
# Forms of what stories make up anew each time: a caller's token, and the numbers of customers' accounts.
PATTERNS = {
    "caller's token": re.compile(rb"bursar_[0-9a-f]{12}_[0-9a-f]{16,}"),
    "account number": re.compile(rb"PL[0-9]{2}99900000[0-9]{16}"),
}
SHOWN_AROUND = 60


def forms(value):
    """A value as it may stand somewhere: itself, escaped, encoded, and a number with its punctuation."""
    raw = value.encode()
    found = {raw, json.dumps(value)[1:-1].encode(), urllib.parse.quote(value, safe="").encode(),
             urllib.parse.quote_plus(value).encode(), raw.hex().encode(), raw.hex().upper().encode()}
    # Of what stands anywhere within something that is encoded, the middle is the same in one of three places.
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw)
        found.add(encoded[4 if shift else 0:len(encoded) // 4 * 4 - 4])
    if re.fullmatch(r"[0-9]{11}", value):
        found.add(f"{value[:3]}.{value[3:6]}.{value[6:9]}-{value[9:]}".encode())
    if re.fullmatch(r"[0-9]{8}", value):
        found.add(f"{value[:5]}-{value[5:]}".encode())
    return {form for form in found if len(form) >= 8}


def planted(folder):
    """What was planted, by its kind."""
    kinds = {}
    for path in folder.glob("*-planted.jsonl"):
        for line in path.read_text().splitlines():
            plant = json.loads(line)
            kinds.setdefault(plant["kind"], set()).add(plant["value"])
    return kinds


def searches(kinds):
    """One search for each kind, for all values in all forms at once."""
    found = dict(PATTERNS)
    for kind, values in kinds.items():
        every = sorted({form for value in values for form in forms(value)}, key=len, reverse=True)
        found[kind] = re.compile(b"|".join(re.escape(form) for form in every))
    return found


def complaints(folder):
    """Everything that is wrong."""
    kinds = planted(folder)
    for kind in sorted(KINDS - kinds.keys()):
        yield f"no {kind} was planted"
    told = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.endswith(".jsonl")}
    lines = sum(content.count(b"\n") for name, content in told.items() if name.endswith("-lines.log"))
    exported = sum(len(content) for name, content in told.items() if name.endswith("-exported.bin"))
    if lines < LINES_MIN or exported < EXPORTED_BYTES_MIN:
        yield f"too little was told: {lines} lines, {exported} bytes of spans and metrics"
    for evidence in EVIDENCE:
        if not any(evidence in content for content in told.values()):
            yield f"nobody told of {evidence.decode()}"
    wanted = searches(kinds)
    for kind, values in kinds.items():
        for value in values:
            for form in forms(value):
                if not wanted[kind].search(b"before " + form + b" behind"):
                    yield f"this search would not find {kind}"
    for kind, search in wanted.items():
        for name, content in told.items():
            found = search.search(content)
            if found:
                around = content[max(0, found.start() - SHOWN_AROUND):found.end() + SHOWN_AROUND]
                yield f"{kind} in {name}: {around!r}"
    count = sum(len(values) for values in kinds.values())
    print(f"canary: {count} planted values looked for in {lines} lines and {exported} bytes of spans and metrics")


def main():
    found = list(complaints(pathlib.Path(sys.argv[1])))
    for complaint in found:
        print(f"canary: {complaint}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
