#!/usr/bin/env python3
"""Reads a page as a browser's parser would and says what is on it.

Takes HTML on standard input. Prints JSON: `language` of the page; `text` that is shown; `labels`, the text of each `dt`;
`pictures`, the label of each drawing; `scripts`, each element or attribute that would run one; `fetched`, each
attribute that would load something; `open`, elements that were not closed. Ends with 0 whatever it found.
"""

from __future__ import annotations

import json
import sys
from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img", "input", "hr"}
LOADS = {"src", "href", "srcset", "data", "action", "background", "poster", "xlink:href"}
RUNS = {"script", "iframe", "object", "embed", "foreignobject", "animate", "set"}


class Reader(HTMLParser):
    """Keeps what matters of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.language = ""
        self.text: list[str] = []
        self.labels: list[str] = []
        self.pictures: list[str] = []
        self.scripts: list[str] = []
        self.fetched: list[str] = []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # HTML knows no self-closing but for void elements and inside drawings.
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "html":
            self.language = given.get("lang") or ""
        if tag == "svg":
            self.pictures.append(given.get("aria-label") or "")
        if tag in RUNS:
            self.scripts.append(tag)
        self.scripts += [name for name in given if name.startswith("on")]
        self.fetched += [name for name in given if name in LOADS]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "dt":
            self.labels.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if self.open and self.open[-1] == tag:
            self.open.pop()
        else:
            self.open.append(f"/{tag}")

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        if inside == "style":
            self.fetched += [word for word in ("url(", "@import") if word in data]
            return
        self.text.append(data)
        if inside == "dt":
            self.labels[-1] += data


def main() -> int:
    sys.stdin.reconfigure(encoding="utf-8")
    sys.stdout.reconfigure(encoding="utf-8")
    reader = Reader()
    reader.feed(sys.stdin.read())
    reader.close()
    found = {name: getattr(reader, name) for name in ("language", "labels", "pictures", "scripts", "fetched", "open")}
    print(json.dumps({**found, "text": "".join(reader.text)}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
