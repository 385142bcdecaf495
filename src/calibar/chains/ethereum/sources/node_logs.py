"""The transfers of tokens that a node finds for an address in the logs of its blocks.

Only `Transfer` as ERC-20 has it names its parties where logs are searched: a wrapped coin's deposits, an issuer's
destruction of tokens and logs of other forms are not found so, which shows in a balance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from calibar.chains.bitcoin.sources.told import Refusal
from calibar.chains.ethereum import logs, namings
from calibar.chains.ethereum.fields import Fields
from calibar.chains.ethereum.jsonrpc import Answers, Question
from calibar.chains.ethereum.jsonrpc import Refusal as Failure
from calibar.chains.ethereum.receipts import Log
from calibar.chains.facts import FROM_NOBODY, TO_NOBODY
from calibar.chains.remote import transfers_told as told
from calibar.chains.topics import TRANSFER
from calibar.errors import DecodeError

MOST_RANGES: Final = 5000
"""Ranges of blocks that are asked for one address."""
GROWS_AFTER: Final = 8
"""Ranges that were told one after another before a range twice as long is asked for again."""
NAMES_AT_ONCE: Final = 20
_WHERE: Final = "logs"


def token_transfers(
    answers: Answers, address: bytes, contract: bytes | None, first: int, most: int
) -> told.Movements | Refusal:  # fmt: skip
    """Transfers to and from an address, of one token or of all, from a height to the last block, in chain order.

    Nodes limit how many blocks or rows one answer may have, each in its own words: a range that is refused is halved.
    """
    (last,) = answers.ask([Question("eth_blockNumber", ())])
    if isinstance(last, Failure):
        return Refusal(f"the node refuses: {last.message}")
    newest = Fields({"eth_blockNumber": last}, "the last block").integer("eth_blockNumber", 63)
    found = _Found(address, contract)
    size, at, fluent = newest + 1 - first, first, 0
    for _ in range(MOST_RANGES):
        if at > newest:
            break
        end = min(at + size - 1, newest)
        told_now = answers.ask(_questions(address, contract, at, end))
        if refused := next((each for each in told_now if isinstance(each, Failure)), None):
            if at == end or refused.unknown_method:
                return Refusal(f"the node refuses the logs of block {at}: {refused.message}")
            size, fluent = (end - at + 1) // 2, 0
            continue
        for rows in told_now:
            found.add(rows, at, end)
        if len(found.rows) > most:
            return Refusal(f"it has more than {most} transfers of tokens", too_much=True)
        at, fluent = end + 1, fluent + 1
        if fluent % GROWS_AFTER == 0:
            size *= 2
    if at <= newest:
        return Refusal(f"the node tells logs of {size} blocks at a time, too few for so many; name an explorer too")
    rows = found.ordered(said(answers, found.contracts()))
    return told.Movements(address, "token", None if contract is None else told.Asset(contract), first, rows)


def said(answers: Answers, contracts: Iterable[bytes]) -> dict[bytes, told.Said]:
    """What token contracts say of themselves, each asked once; those that say nothing are left out."""
    found = {}
    wanted = list(dict.fromkeys(contracts))
    for start in range(0, len(wanted), NAMES_AT_ONCE):
        group = wanted[start : start + NAMES_AT_ONCE]
        words = answers.ask([question for contract in group for question in namings.questions(contract)])
        for at, contract in enumerate(group):
            if naming := namings.naming(contract, words[3 * at : 3 * at + 3]):
                found[contract] = told.Said(naming.name, naming.symbol, naming.decimals)
    return found


def moved(
    transfer: logs.TokenTransfer, txid: bytes, height: int, time: int | None, index: int, block_hash: bytes,
    saying: told.Said | None,
) -> told.Movement:  # fmt: skip
    """A token's transfer in its place."""
    return told.Movement(
        "token", txid, told.Asset(transfer.asset), None if transfer.kind in FROM_NOBODY else transfer.sender,
        None if transfer.kind in TO_NOBODY else transfer.recipient, transfer.amount, height, time, index,
        transfer.position, block_hash, saying,
    )  # fmt: skip


def _questions(address: bytes, contract: bytes | None, first: int, last: int) -> list[Question]:
    party = "0x" + address.hex().rjust(64, "0")
    where: dict[str, object] = {"fromBlock": hex(first), "toBlock": hex(last)}
    if contract is not None:
        where["address"] = "0x" + contract.hex()
    sides: list[list[str | None]] = [[party], [None, party]]
    return [Question("eth_getLogs", ({**where, "topics": ["0x" + TRANSFER.hex(), *side]},)) for side in sides]


def _log(fields: Fields) -> Log:
    topics = (Fields({"topic": topic}, fields.where).octets("topic", 32) for topic in fields.items("topics"))
    return Log(fields.address("address"), tuple(topics), fields.octets("data"), fields.integer("logIndex", 63))


@dataclass(slots=True)
class _Found:
    """Transfers by height and log."""

    address: bytes
    contract: bytes | None
    rows: dict[tuple[int, int], tuple[logs.TokenTransfer, bytes, int | None, int, bytes]] = field(default_factory=dict)
    """Transfer, transaction, time, the transaction's place, block."""
    hashes: dict[int, bytes] = field(default_factory=dict)

    def add(self, told_rows: object, first: int, last: int) -> None:
        """Take the logs of a range. Raises DecodeError where they are none, or not those that were asked for."""
        for fields in Fields({_WHERE: told_rows}, "the node").objects(_WHERE, "log"):
            log, height = _log(fields), fields.integer("blockNumber", 63)
            if not first <= height <= last or fields.values.get("removed") not in (None, False):
                raise DecodeError(f"{fields.where}: it is of no block that was asked for; ask another node")
            parties = [topic[12:] for topic in log.topics[1:3]]
            if (
                log.topics[:1] != (TRANSFER,)
                or self.address not in parties
                or self.contract not in (None, log.contract)
            ):
                raise DecodeError(f"{fields.where}: it is not of what was asked for; ask another node")
            block = fields.octets("blockHash", 32)
            if self.hashes.setdefault(height, block) != block:
                raise DecodeError(
                    f"{fields.where}: block {height} has two hashes: the chain was reorganised; ask again"
                )
            for transfer in logs.read([log], logs.Context()).transfers:
                row = (
                    transfer, fields.octets("transactionHash", 32), fields.optional("blockTimestamp", 63),
                    fields.integer("transactionIndex", 63), block,
                )  # fmt: skip
                if self.rows.setdefault((height, log.index), row) != row:
                    raise DecodeError(f"{fields.where}: it is told twice, and differently; ask another node")

    def contracts(self) -> list[bytes]:
        """The tokens."""
        return [transfer.asset for transfer, *_ in self.rows.values()]

    def ordered(self, sayings: dict[bytes, told.Said]) -> tuple[told.Movement, ...]:
        """The transfers in chain order."""
        return tuple(
            moved(transfer, txid, height, time, index, block, sayings.get(transfer.asset))
            for (height, _), (transfer, txid, time, index, block) in sorted(self.rows.items(), key=lambda row: row[0])
        )
