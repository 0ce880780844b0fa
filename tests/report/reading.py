"""Reads a page back without a browser."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "img", "input", "br", "hr", "link"}


@dataclass
class Line:
    """A line of a table: printed texts and values to sort by, both by the title of the column."""

    texts: dict[str, str] = field(default_factory=dict)
    sorts: dict[str, str] = field(default_factory=dict)


class Page(HTMLParser):
    """The elements of a page, its tables by dataset and kind, and the data of its scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[dict[str, list[Line]]] = []
        """One mapping of kind to lines a dataset."""
        self.texts: list[str] = []
        self._open: list[str] = []
        self._titles: list[str] = []
        self._kind: str | None = None
        self._column = -1
        self._sort: str | None = None
        self._raw = ""
        self.feed(html)
        self.close()
        self.data: Any = json.loads(self._raw)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag not in VOID:
            self._open.append(tag)
        if "panel" in (attributes.get("class") or "").split():
            self.tables.append({})
        if tag == "table":
            self._kind, self._titles = attributes["data-grid"], []
            self.tables[-1][self._kind or ""] = []
        if self._kind is None:
            return
        if tag == "tr":
            self._column = -1
            if "tbody" in self._open:
                self.tables[-1][self._kind].append(Line())
        if tag in ("th", "td"):
            self._column += 1
            if "thead" in self._open:
                self._titles.append("")
            else:
                line = self.tables[-1][self._kind][-1]
                line.texts[self._titles[self._column]] = ""
                if attributes.get("data-sort") is not None:
                    line.sorts[self._titles[self._column]] = attributes["data-sort"] or ""

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"
        if tag == "table":
            self._kind = None

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self._open and self._open[-1] == "script" and self.tags[-1][1].get("id") == "data":
            self._raw += data
        if self._kind is None or not data.strip() or "caption" in self._open:
            return
        if "thead" in self._open:
            self._titles[-1] += data
        elif "span" not in self._open or "td" in self._open:  # badges stand beside the name
            self.tables[-1][self._kind][-1].texts[self._titles[self._column]] += data.strip()
