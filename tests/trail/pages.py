"""Reading a trail's page as a stranger would, and what must hold of every page."""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import browser

VOID = {"meta", "br", "link", "img", "input"}
HOSTILE = "</script></title><img src=x onerror=\"document.title='owned'\">{{ 7*7 }}'\"&\u202e\x00"


class Page(HTMLParser):
    """Reads a page and refuses tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"en": [], "es": [], "": []}
        self.tongue = [""]
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)
            self.tongue.append(str(found["lang"]) if found.get("class") == "w" else self.tongue[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self.tongue.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "script"}:
            self.texts[self.tongue[-1]].append(data)

    def says(self, language: str) -> str:
        return " ".join([*self.texts[language], *self.texts[""]])


def assert_calls_nobody(text: str) -> None:
    """Well formed, and nothing in it loads anything."""
    assert text.startswith("<!doctype html>")
    for tag, attributes in Page(text).tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form", "image", "use"}
        assert not {"src", "href", "xlink:href", "srcset", "action", "style", "background"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"@import|https?://|url\((?!#)", text)


def assert_allows_its_own_parts_alone(text: str) -> None:
    policy = next(str(a["content"]) for _, a in Page(text).tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (own,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert f"{tag}-src 'sha256-{b64encode(sha256(own.encode()).digest()).decode()}'" in policy


def assert_says_everything_twice(text: str) -> None:
    page = Page(text)
    english, spanish = (" ".join(page.texts[code]) for code in ("en", "es"))
    assert len(page.texts["en"]) == len(page.texts["es"])
    assert "Where the value rests" in english
    assert "Dónde está el valor" in spanish
    assert "Where" not in spanish
    assert "Dónde" not in english


def assert_hostile_texts_are_texts(text: str) -> None:
    page = Page(text)
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert "{{ 7*7 }}" in page.says("en")
    assert "\u202e" not in text
    assert "\x00" not in text
    text.encode()


def assert_hostile_texts_do_nothing(text: str, folder: Path) -> None:
    """In a real browser."""
    path = folder / "trail.html"
    path.write_text(text, "utf-8")
    document, console = browser.browse(path, folder / "profile")
    assert console == ""
    assert "<img" not in document
    assert "<title>owned" not in document


def assert_same_in_every_process(imports: str, page: str) -> None:
    program = f"import sys, hashlib; sys.path.insert(0, sys.argv[1]); {imports}"
    program += f"; print(hashlib.sha256({page}.encode()).hexdigest())"
    digests = {
        subprocess.check_output(
            [sys.executable, "-c", program, str(Path(browser.__file__).parent)], env={"PYTHONHASHSEED": seed}, text=True
        )
        for seed in ("1", "2")
    }
    assert len(digests) == 1
