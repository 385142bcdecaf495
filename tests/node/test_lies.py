"""One lie at a time, by a server that is else honest: each is named, none gets in, and the next server is asked."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from liar import Cut, Garbage, Liar

import calibar
from calibar.errors import UsageError
from calibar.ledger.case.case import Case
from calibar.trail.cases import gather
from calibar.trail.fetching import Limits
from calibar.trail.policy import Policy

if TYPE_CHECKING:
    from calibar.trail.fetching import Report
    from chains import Stolen

pytest_plugins = ("chains",)

HISTORY = ("blockchain.scripthash.get_history", "blockchain.scriptpubkey.get_history")
BALANCE = ("blockchain.scripthash.get_balance", "blockchain.scriptpubkey.get_balance")
BITCOIN = (
    "0100000006226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f"
    "adbb20ea41a8423ea937e76e8151636bf6093b70eaff942930d20576600521fdc30f9858ffff7f2000000000"
)
"""The header of block 1 of a regtest chain of Bitcoin's."""


def flipped(text: str) -> str:
    """Hexadecimal digits, another in the middle."""
    at = len(text) // 2
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]


def rows(change: Callable[[list[Any]], list[Any]]) -> Callable[[Any], Any]:
    """Alter the rows of a history, whichever version of the protocol gives it."""

    def tell(result: Any) -> Any:
        return {**result, "history": change(result["history"])} if isinstance(result, dict) else change(result)

    return tell


def once(wanted: Callable[[str, list[Any]], bool], tell: Callable[[Any], Any]) -> Callable[[str, list[Any], Any], Any]:
    """Alter the answers to some questions."""

    def alter(method: str, params: list[Any], result: Any) -> Any:
        return tell(copy.deepcopy(result)) if wanted(method, params) else result

    return alter


def asked(*methods: str) -> Callable[[str, list[Any]], bool]:
    return lambda method, _: method in methods


def told(stolen: Stolen, folder: Path, *sources: str, reference: str = "", **options: Any) -> Report:
    return gather(
        folder, [reference or stolen.known.stolen.ref], sources, network_name="litecoin-regtest", policy=Policy(),
        limits=Limits(**options),
    )  # fmt: skip


def headers(change: Callable[[bytearray], None]) -> Callable[[Any], Any]:
    """Alter the fifty-first header in an answer with headers."""

    def tell(result: Any) -> Any:
        rows = result.get("headers") or [result["hex"][at : at + 160] for at in range(0, len(result["hex"]), 160)]
        if len(rows) > 50:
            row = bytearray.fromhex(rows[50])
            change(row)
            rows[50] = row.hex()
        if "headers" in result:
            return {**result, "headers": rows}
        return {**result, "hex": "".join(rows)}

    return tell


def _no_work(row: bytearray) -> None:
    row[76:80] = b"\xff\xff\xff\xff"
    while _scrypt(row) <= 0x7FFFFF << 232:
        row[76] -= 1


def _scrypt(row: bytearray) -> int:
    import hashlib  # noqa: PLC0415

    return int.from_bytes(hashlib.scrypt(row, salt=row, n=1024, r=1, p=1, dklen=32), "little")


def _easier(row: bytearray) -> None:
    row[72:76] = (0x2100FFFF).to_bytes(4, "little")


def _other_parent(row: bytearray) -> None:
    row[4:36] = bytes(32)
    while _scrypt(row) > 0x7FFFFF << 232:
        row[76] = (row[76] + 1) % 256


def _other_branch(told: dict[str, Any]) -> dict[str, Any]:
    return {**told, "merkle": [flipped(told["merkle"][0]), *told["merkle"][1:]]}


TABLE: dict[str, tuple[Callable[[str, list[Any], Any], Any], str]] = {
    "a branch of another transaction": (
        once(asked("blockchain.transaction.get_merkle"), _other_branch),
        "the branch of transaction",
    ),
    "a place that no block has": (
        once(asked("blockchain.transaction.get_merkle"), lambda r: {**r, "pos": 1 << 20}),
        "the position in the block is not",
    ),
    "another place in the block": (
        once(asked("blockchain.transaction.get_merkle"), lambda r: {**r, "pos": r["pos"] ^ 1}),
        "the branch of transaction",
    ),
    "a block's header without work": (
        once(asked("blockchain.block.headers"), headers(_no_work)),
        "has no proof of work",
    ),
    "a header that claims less work than the network allows": (
        once(asked("blockchain.block.headers"), headers(_easier)),
        "claims a difficulty",
    ),
    "a header that follows no other": (
        once(asked("blockchain.block.headers"), headers(_other_parent)),
        "does not follow the one before it",
    ),
    "another chain's tip": (
        once(asked("blockchain.headers.subscribe"), lambda r: {**r, "hex": BITCOIN}),
        "",
    ),
    "bytes that hash otherwise": (
        once(asked("blockchain.transaction.get"), flipped),
        "is not",
    ),
    "bytes that are no transaction": (
        once(asked("blockchain.transaction.get"), lambda _: "00" * 50),
        "",
    ),
    "a history with a transaction of others": (
        once(asked(*HISTORY), rows(lambda told: [*told, {"tx_hash": "ab" * 32, "height": 120}])),
        "",
    ),
    "amounts below zero": (
        once(asked(*BALANCE), lambda r: {**r, "confirmed": -5}),
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", TABLE)
def test_a_lie_is_named_and_the_next_server_is_asked(stolen: Stolen, tmp_path: Path, lie: str) -> None:
    alter, named = TABLE[lie]
    reference = stolen.known.service if "amounts" in lie else stolen.known.stolen.ref
    with Liar(stolen.chain.electrum_port, alter) as liar:
        report = told(stolen, tmp_path / "case", liar.url, stolen.chain.electrum_url, reference=reference)
        assert liar.lies
    place = liar.url
    if named:
        assert any(said.place == place and named in said.what for said in report.lies), report.lies
    told(stolen, tmp_path / "honest", stolen.chain.electrum_url, reference=reference)
    ours, honest = (calibar.open(tmp_path / name).trace(reference) for name in ("case", "honest"))
    assert ours.steps == honest.steps
    assert ours.totals == honest.totals
    # What was told stays as evidence, and telling it again offline lets it in no more than before.
    again = Case(tmp_path / "case")
    assert calibar.open(tmp_path / "case").trace(reference).json() == ours.json()
    if named:
        assert any(named in what for _, what in again.state.refused) or "does not spend" in named or named == "is not"


@pytest.mark.parametrize(
    "answer",
    [
        b"<!DOCTYPE html><html><body>Welcome</body></html>\n",
        b'{"jsonrpc": "2.0", "id": 1, "result": \n',
        b"\xff\xfe\x00\n",
    ],
)
def test_what_is_no_answer_is_named_and_the_next_server_is_asked(stolen: Stolen, tmp_path: Path, answer: bytes) -> None:
    def alter(method: str, _: list[Any], result: Any) -> Any:
        if method == "blockchain.transaction.get":
            raise Garbage(answer)
        return result

    with Liar(stolen.chain.electrum_port, alter) as liar:
        report = told(stolen, tmp_path / "case", liar.url, stolen.chain.electrum_url)
    assert [said for said in report.lies if said.place == liar.url]
    assert len(calibar.open(tmp_path / "case").trace(stolen.known.stolen.ref).steps) == 15


def test_a_server_that_hangs_up_is_left(stolen: Stolen, tmp_path: Path) -> None:
    def alter(method: str, _: list[Any], result: Any) -> Any:
        if method == "blockchain.transaction.get_merkle":
            raise Cut
        return result

    with Liar(stolen.chain.electrum_port, alter) as liar:
        told(stolen, tmp_path / "case", liar.url, stolen.chain.electrum_url)
    assert len(calibar.open(tmp_path / "case").trace(stolen.known.stolen.ref).steps) == 15


def hides(stolen: Stolen) -> Callable[[str, list[Any], Any], Any]:
    """Keep the fifth peel from every history: the coin before it seems to lie still."""
    hidden = stolen.known.peels[4].txid

    return once(asked(*HISTORY), rows(lambda told: [row for row in told if row["tx_hash"] != hidden]))


def test_alone_a_server_can_hide_a_payment(stolen: Stolen, tmp_path: Path) -> None:
    """The lie that no proof shows: the trail ends there, by that server's word, and says so."""
    with Liar(stolen.chain.electrum_port, hides(stolen)) as liar:
        report = told(stolen, tmp_path / "case", liar.url)
        assert report.lies == []
    trail = calibar.open(tmp_path / "case").trace(stolen.known.stolen.ref)
    (row,) = [row for row in trail.holdings if row["coin"] == stolen.known.rest[3].ref]
    assert (row["state"], row["reason"], row["reported"]) == ("held", "unspent", [liar.url])


def test_another_server_reveals_what_one_hides(stolen: Stolen, tmp_path: Path) -> None:
    with Liar(stolen.chain.electrum_port, hides(stolen)) as liar:
        sources = (liar.url, stolen.chain.electrum_url)
        report = told(stolen, tmp_path / "case", *sources, cross_check=True)
    assert (liar.url, stolen.known.rest[3].ref) in report.hidden
    assert len(calibar.open(tmp_path / "case").trace(stolen.known.stolen.ref).steps) == 15


def test_a_balance_shows_what_a_history_leaves_out(stolen: Stolen, tmp_path: Path) -> None:
    reference = stolen.known.service

    with Liar(stolen.chain.electrum_port, once(asked(*HISTORY), rows(lambda told: told[:-3]))) as liar:
        report = told(stolen, tmp_path / "case", liar.url, reference=reference)
    assert "its history is not known whole" in report.unanswered[reference]
    trail = calibar.open(tmp_path / "case").trace(reference)
    assert trail.document["ledger"]["histories"] == {reference: False}


def test_where_nobody_tells_the_truth_nothing_is_told(stolen: Stolen, tmp_path: Path) -> None:
    alter = once(asked("blockchain.transaction.get"), flipped)
    with (
        Liar(stolen.chain.electrum_port, alter) as liar,
        pytest.raises(UsageError, match="no server knows transaction"),
    ):
        told(stolen, tmp_path / "case", liar.url)
    assert Case(tmp_path / "case").coins.places == {}
