#!/usr/bin/env python3
"""Judges what owners are sent against the JSON Schemas that they are given.

    event_schema.py FOLDER    reads bodies from standard input, one a line; prints a JSON list with what is wrong with each,
                              in their order: null for a body that is as promised, else a sentence

A body is judged by the schema whose title it names in its member `schema`; one that names none or another is wrong. Before
that the schemas themselves are: each must be a schema of draft 2020-12 that takes its own examples. Exits with 0 when every
body was judged, 1 when a schema is no good.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match


def validators(folder: Path) -> dict[str, Draft202012Validator]:
    found = {}
    for path in sorted(folder.glob("*.schema.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        Draft202012Validator.check_schema(schema)
        if schema["$schema"] != Draft202012Validator.META_SCHEMA["$id"]:
            raise SchemaError(f"{path.name} is of another draft")
        validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
        for example in schema["examples"]:
            fault = best_match(validator.iter_errors(example))
            if fault is not None:
                raise SchemaError(f"an example of {path.name}: {fault.message}")
        found[schema["title"]] = validator
    return found


def fault_of(text: str, known: dict[str, Draft202012Validator]) -> str | None:
    body: Any = json.loads(text)
    validator = known.get(body.get("schema")) if isinstance(body, dict) else None
    if validator is None:
        return "it names no schema that there is"
    fault = best_match(validator.iter_errors(body))
    return None if fault is None else f"{fault.json_path}: {fault.message}"


def main() -> int:
    try:
        known = validators(Path(sys.argv[1]))
    except SchemaError as fault:
        print(f"event_schema: {fault.message}", file=sys.stderr)
        return 1
    lines = [line for line in sys.stdin.read().splitlines() if line]
    print(json.dumps([fault_of(line, known) for line in lines]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
