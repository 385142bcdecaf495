"""What explorers of Ethereum and its kin tell, made into movements: the part that is common to all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal, NamedTuple

from calibar.chains.ethereum import address as text
from calibar.chains.ethereum import logs, receipts
from calibar.chains.ethereum.fields import Fields
from calibar.chains.facts import FAILED, FROM_NOBODY, TO_NOBODY
from calibar.chains.remote import transfers_told as told
from calibar.chains.remote.rows import Row
from calibar.chains.remote.walks import Asked
from calibar.errors import AddressError, DecodeError

_NOBODY: Final = bytes(20)
_PAYING: Final = frozenset(("call", "create", "create2", "suicide", "selfdestruct", "self-destruct"))
"""Frames whose value moves; a delegated call repeats its caller's."""


class Place(NamedTuple):
    """Where in the chain something was moved."""

    txid: bytes
    height: int
    time: int | None
    transaction_index: int | None = None
    block_hash: bytes | None = None

    def fee(self, payer: bytes, amount: int) -> told.Movement:
        """What the sender paid."""
        return self._movement("fee", told.NATIVE, payer, None, amount)

    def move(
        self, kind: Literal["value", "internal"], sender: bytes | None, recipient: bytes | None, row: Row,
        position: int | None = None,
    ) -> tuple[told.Movement, ...]:  # fmt: skip
        """The chain's own coin of the row's value; nothing where that is zero."""
        amount = row.whole("value")
        if not amount:
            return ()
        return (replace(self._movement(kind, told.NATIVE, sender, recipient, amount), position=position),)

    def token(
        self, asset: told.Asset, sender: bytes, recipient: bytes | None, amount: int, position: int | None,
        said: told.Said | None,
    ) -> told.Movement:  # fmt: skip
        """A token's transfer; the zero address is nobody."""
        giver = None if sender == _NOBODY else sender
        taker = None if recipient == _NOBODY else recipient
        return replace(self._movement("token", asset, giver, taker, amount), position=position, said=said)

    def _movement(
        self, kind: told.Kind, asset: told.Asset, sender: bytes | None, recipient: bytes | None, amount: int
    ) -> told.Movement:
        return told.Movement(
            kind, self.txid, asset, sender, recipient, amount, self.height, self.time, self.transaction_index,
            block_hash=self.block_hash,
        )  # fmt: skip


def parameter(asked: Asked, name: str) -> bytes:
    """An address in a request."""
    try:
        return text.decode(asked.query.get(name, ""))
    except AddressError:
        raise DecodeError(f"the request's {name} is no address") from None


def recipient(row: Row, *names: str) -> bytes:
    """Whom a row pays: the first of the fields that is there; a creation pays its new contract."""
    return row.address(row.has(*names) or names[0], text.decode)


def concerns(row: Row, account: bytes, *parties: bytes | None) -> None:
    """Raise DecodeError for a row of another address than the one asked about."""
    if account not in parties:
        raise DecodeError(f"{row.where}: it is of another address than was asked for")


def internal(place: Place, row: Row, failed: bool, account: bytes | None) -> tuple[told.Movement, ...]:
    """A transfer inside a call, as Etherscan's rows have it; one that failed moves nothing."""
    sender = row.address("from", text.decode)
    if not row.has("to", "contractAddress"):
        if not failed:
            row.wrong("to", "an address")
        return ()
    taker = recipient(row, "to", "contractAddress")
    if account is not None:
        concerns(row, account, sender, taker)
    if failed or row.text("type").lower() not in _PAYING:
        return ()
    return place.move("internal", sender, taker, row)


def paying(kind: str) -> bool:
    """Whether a frame of this kind moves its value."""
    return kind.lower() in _PAYING


def transaction(hash_: str, sent: Fields, receipt_fields: Fields) -> told.Transaction:
    """All that a transaction moved by its own value, its fee and its logs: the answers of a node to its hash."""
    txid = Fields({"hash": hash_}, "the request").octets("hash", 32)
    for fields, name in ((sent, "hash"), (receipt_fields, "transactionHash")):
        if fields.octets(name, 32) != txid:
            raise DecodeError(f"{fields.where}: it is of another transaction than was asked for")
    block, height = sent.octets("blockHash", 32), sent.integer("blockNumber", 40)
    if (receipt_fields.octets("blockHash", 32), receipt_fields.integer("blockNumber", 40)) != (block, height):
        raise DecodeError("the transaction and its receipt are said to be in different blocks")
    receipt = receipts.read(receipt_fields)
    index = sent.optional("transactionIndex", 40)
    place = Place(txid, height, None, index, block)
    sender, to = sent.address("from"), sent.address("to") if sent.has("to") else receipt.contract
    if to is None:
        raise DecodeError(f"{receipt_fields.where}: contractAddress: a creation without the address of what it makes")
    price = receipt.price if receipt.price is not None else sent.integer("gasPrice")
    fee = receipt.gas_used * price + receipt.blob_gas * receipt.blob_price + receipt.layer_fee
    succeeded = receipt.status != FAILED
    rows = [place.fee(sender, fee)] if fee else []
    if succeeded:
        value = sent.integer("value")
        rows += place.move("value", sender, to, Row({"value": value}, sent.where))
        seen = logs.Context(sender, to if sent.has("to") else None, sent.octets("input"))
        for transfer in logs.read(receipt.logs, seen).transfers:
            rows.append(
                place.token(
                    told.Asset(transfer.asset),
                    _NOBODY if transfer.kind in FROM_NOBODY else transfer.sender,
                    _NOBODY if transfer.kind in TO_NOBODY else transfer.recipient,
                    transfer.amount,
                    transfer.position,
                    None,
                )
            )
    return told.Transaction(txid, height, succeeded, tuple(rows))


def with_internals(
    found: told.Transaction, internals: Sequence[told.Movement], time: int | None
) -> told.Transaction:  # fmt: skip
    """With what its calls moved, before what its logs say; `time` is that of its block where it is known."""
    if internals and not found.succeeded:
        raise DecodeError("a transaction that failed is said to move coins inside its calls")
    own = [row for row in found.rows if row.kind != "token"]
    tokens = [row for row in found.rows if row.kind == "token"]
    rows = (replace(row, time=time if row.time is None else row.time) for row in (*own, *internals, *tokens))
    return replace(found, rows=tuple(rows))
