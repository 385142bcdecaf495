"""Elements of large XML, one after the other, in bounded memory. No DTD, so no entities and nothing outside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final
from xml.etree import ElementTree as ET
from xml.parsers import expat

from calibar.collection import uncollected
from calibar.errors import DecodeError

MOST_PENDING: Final = 8 << 20
"""Bytes of XML without a whole element among them."""
_DEEPEST: Final = 100


class Elements:
    """Takes `wanted` out of `containers`; all else is dropped as it is read. An owner is a container of this name."""

    def __init__(self, where: str, containers: frozenset[str], wanted: frozenset[str], owner: str = "") -> None:
        self._where, self._containers, self._wanted, self._owner = where, containers, wanted, owner
        self._pending = 0

    def read(self, chunks: Iterable[bytes]) -> Iterator[tuple[ET.Element, ET.Element]]:
        """Each wanted element when it is whole, and its owner. Raises DecodeError."""
        builder = ET.TreeBuilder()
        top = builder.start("top", {})
        parser = ET.XMLParser(target=builder)  # noqa: S314
        prolog: Prolog | None = Prolog(self._where)
        for chunk in chunks:
            with checked(self._where), uncollected():
                if prolog is not None and prolog.is_over(chunk):
                    prolog = None
                parser.feed(chunk)
            self._pending += len(chunk)
            yield from self._whole(top, top, False, 0)
            if self._pending > MOST_PENDING:
                raise DecodeError(f"{self._where}: more than {MOST_PENDING >> 20} MB in one row or cell: not read")
        with checked(self._where):
            parser.close()
        yield from self._whole(top, top, True, 0)

    def _whole(
        self, node: ET.Element, owner: ET.Element, closed: bool, depth: int
    ) -> Iterator[tuple[ET.Element, ET.Element]]:
        children = node[:]
        if closed:
            del node[:]
        elif len(children) > 1:
            del node[:-1]
            self._pending = 0
        last = len(children) - 1
        for at, child in enumerate(children):
            whole = closed or at < last
            name = local(child.tag)
            if name in self._wanted:
                if whole:
                    yield owner, child
            elif name in self._containers:
                if depth > _DEEPEST:
                    raise DecodeError(f"{self._where}: its XML is nested as no spreadsheet's is: it is not read")
                yield from self._whole(child, child if name == self._owner else owner, whole, depth + 1)
            elif not whole:
                self._prune(child)

    def _prune(self, node: ET.Element) -> None:
        for _ in range(_DEEPEST):
            if not len(node):
                return
            if len(node) > 1:
                del node[:-1]
                self._pending = 0
            node = node[-1]
        raise DecodeError(f"{self._where}: its XML is nested as no spreadsheet's is: it is not read")


class Prolog:
    """A parser that builds nothing, and refuses a DTD."""

    def __init__(self, where: str) -> None:
        self._where, self._over = where, False
        self.parser = expat.ParserCreate()
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._element

    def is_over(self, chunk: bytes) -> bool:
        """Whether the first element has begun."""
        self.parser.Parse(chunk, False)
        return self._over

    def _element(self, _name: str, _attributes: dict[str, str]) -> None:
        self._over = True
        self.parser.StartElementHandler = None

    def _doctype(self, *_: object) -> None:
        raise DecodeError(f"{self._where}: its XML has a DTD, which no spreadsheet has: it is not read")


@contextmanager
def checked(where: str) -> Iterator[None]:
    """What parsers say of damage, as DecodeError."""
    try:
        yield
    except (ET.ParseError, expat.ExpatError) as error:
        raise DecodeError(f"{where}: its XML is damaged or cut off ({error}): have it sent again") from None
    except (LookupError, ValueError):
        raise DecodeError(f"{where}: its XML is in an encoding that is not read") from None


def local(tag: str) -> str:
    """A tag without its namespace."""
    return tag[tag.rfind("}") + 1 :]
