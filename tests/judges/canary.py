"""Looks for planted persons and secrets in whatever a run of the stories has logged, traced, measured and shown to operators.

    canary.py FOLDER    the folder that BURSAR_TEST_CANARY_DIR named

Fails if one is found in any of its forms; and also if too little was told to be a run, if something was never planted, or if this search
would not find what it looks for: whoever looks at nothing finds nothing.
"""

import base64
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.parse

# What a run of all stories tells at least; a fifth of what it told when this was written.
LINES_MIN = 5_000
EXPORTED_BYTES_MIN = 15_000_000
PAGE_BYTES_MIN = 200_000
# Each of these is known to some house of some story.
KINDS = {
    "name", "tax id", "street", "postal code", "mail address", "bank's client secret", "bank's application key",
    "mail server's password", "vendor's key", "other vendor's key", "other vendor's password", "webhook's secret", "sealing key",
    "gateway's password", "link to a document",
}
# What must be there: a line of ours, spans and metrics by name, a page of boletos, a scrape.
EVIDENCE = [b'"listening"', b"boleto.register", b"notification.deliver", b"rpc.server.duration", b"<h1>Boletos</h1>", b"# TYPE bursar_"]
# Forms of what stories make up anew each time: a caller's token, and the numbers of customers' accounts.
PATTERNS = {
    "consent's token": re.compile(rb"sandbox-token-[0-9a-f]{32}"),
    "secret that the service made": re.compile(rb"whsec_[A-Za-z0-9+/]{20,}"),
    "caller's token": re.compile(rb"bursar_[0-9a-f]{12}_[0-9a-f]{16,}"),
    "account number": re.compile(rb"PL[0-9]{2}99900000[0-9]{16}"),
}
SHOWN_AROUND = 60
SHOWN_MAX = 50


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
    return {form for form in found if len(form) >= 8 and b"\n" not in form}


def planted(folder):
    """What was planted, by its kind."""
    kinds = {}
    for path in folder.glob("*-planted.jsonl"):
        for line in path.read_text().splitlines():
            plant = json.loads(line)
            kinds.setdefault(plant["kind"], set()).add(plant["value"])
    return kinds


def search(wanted, paths):
    """Where any of these forms stands in these files, as (path, offset, form); one pass for thousands of them, which is what grep is for."""
    with tempfile.NamedTemporaryFile(prefix="bursar-canary-forms.") as forms_file:
        forms_file.write(b"\n".join(sorted(wanted)))
        forms_file.flush()
        command = ["grep", "--text", "--with-filename", "--byte-offset", "--only-matching", "--fixed-strings", "--null", "--file"]
        asked = subprocess.run(
            [*command, forms_file.name, "--", *map(str, paths)], env={**os.environ, "LC_ALL": "C"}, capture_output=True, check=False, stdin=subprocess.DEVNULL
        )
    if asked.returncode > 1:
        raise SystemExit(f"canary: cannot search: {asked.stderr.decode()}")
    for line in asked.stdout.splitlines():
        path, _, found = line.partition(b"\0")
        offset, _, form = found.partition(b":")
        yield pathlib.Path(path.decode()), int(offset), form


def blind_to(wanted):
    """The forms that this search would not find."""
    with tempfile.NamedTemporaryFile(prefix="bursar-canary-sample.") as sample:
        for form in wanted:
            sample.write(b"before " + form + b" behind\n")
        sample.flush()
        shown = pathlib.Path(sample.name).read_bytes()
        # Of several forms that begin at one place the longest is told; the others stand in it.
        found = {offset for _, offset, _ in search(wanted, [sample.name])}
    offset = 0
    for line in shown.splitlines(keepends=True):
        if not any(place in found for place in range(offset, offset + len(line))):
            yield line[len(b"before "):-len(b" behind\n")]
        offset += len(line)


def complaints(folder):
    """Everything that is wrong."""
    kinds = planted(folder)
    for kind in sorted(KINDS - kinds.keys()):
        yield f"no {kind} was planted"
    told = {path: path.read_bytes() for path in sorted(folder.iterdir()) if not path.name.endswith(".jsonl")}
    lines = sum(content.count(b"\n") for path, content in told.items() if path.name.endswith("-lines.log"))
    exported = sum(len(content) for path, content in told.items() if path.name.endswith("-exported.bin"))
    pages = sum(len(content) for path, content in told.items() if path.name.endswith("-pages.html"))
    if lines < LINES_MIN or exported < EXPORTED_BYTES_MIN or pages < PAGE_BYTES_MIN:
        yield f"too little was told: {lines} lines, {exported} bytes of spans and metrics, {pages} of pages"
    for evidence in EVIDENCE:
        if not any(evidence in content for content in told.values()):
            yield f"nobody told of {evidence.decode()}"
    kind_of = {form: kind for kind, values in kinds.items() for value in values for form in forms(value)}
    for form in blind_to(kind_of):
        yield f"this search would not find {kind_of[form]}"
    found = [(path, offset, len(form), kind_of[form]) for path, offset, form in search(kind_of, told)]
    for kind, pattern in PATTERNS.items():
        found += [(path, hit.start(), len(hit[0]), kind) for path, content in told.items() for hit in pattern.finditer(content)]
    for path, offset, length, kind in found[:SHOWN_MAX]:
        around = told[path][max(0, offset - SHOWN_AROUND):offset + length + SHOWN_AROUND]
        yield f"{kind} in {path.name}: {around!r}"
    if len(found) > SHOWN_MAX:
        yield f"and {len(found) - SHOWN_MAX} more"
    count = sum(len(values) for values in kinds.values())
    print(f"canary: {count} planted values looked for in {lines} lines, {exported} bytes of spans and metrics and {pages} of pages")


def main():
    found = list(complaints(pathlib.Path(sys.argv[1])))
    for complaint in found:
        print(f"canary: {complaint}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
