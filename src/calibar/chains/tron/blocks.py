"""A block of TRON, from the answers of `getblockbynum` and `gettransactioninfobyblocknum`.

What is recomputed and so proven: the header's bytes and the block's id; each transaction's id from `raw_data_hex`; the
root of the transactions with their signatures and results. Logs, fees and internal transactions are in no root of TRON
and stay reported. The producer's signature is not checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from calibar.chains.facts import HAS_INTERNAL, PROVEN_HEADER, PROVEN_TRANSACTIONS, Builder
from calibar.chains.tron import contracts, hashes, infos, moves
from calibar.chains.tron.contracts import RUN_CODE, Contract
from calibar.chains.tron.jsonfields import INT64, Json, integer, listing, mapping, octets, said, word
from calibar.chains.tron.protobuf import bytes_field, integer_field
from calibar.errors import ChainError, DecodeError

MOST_TRANSACTIONS: Final = 100_000
_MOST_SIGNATURES: Final = 100

_HEADER_FIELDS: Final = frozenset(
    {
        "timestamp", "txTrieRoot", "parentHash", "number", "witness_id", "witness_address", "version",
        "accountStateRoot",
    }
)  # fmt: skip
_RESULTS: Final = (
    "DEFAULT", "SUCCESS", "REVERT", "BAD_JUMP_DESTINATION", "OUT_OF_MEMORY", "PRECOMPILED_CONTRACT", "STACK_TOO_SMALL",
    "STACK_TOO_LARGE", "ILLEGAL_OPERATION", "STACK_OVERFLOW", "OUT_OF_ENERGY", "OUT_OF_TIME", "JVM_STACK_OVER_FLOW",
    "UNKNOWN", "TRANSFER_FAILED", "INVALID_CODE",
)  # fmt: skip
_CODES: Final = ("SUCESS", "FAILED")
_RESULT_AMOUNTS: Final = {
    "fee": 1, "withdraw_amount": 15, "unfreeze_amount": 16, "exchange_received_amount": 18,
    "exchange_inject_another_amount": 19, "exchange_withdraw_another_amount": 20, "exchange_id": 21,
    "shielded_transaction_fee": 22, "withdraw_expire_amount": 27,
}  # fmt: skip
_RESULT_FIELDS: Final = frozenset({*_RESULT_AMOUNTS, "ret", "contractRet", "assetIssueID", "orderId"})


@dataclass(frozen=True, slots=True)
class Header:
    """A block's header; `milliseconds` since 1970 UTC."""

    number: int
    id: bytes
    parent: bytes
    root: bytes
    milliseconds: int
    raw: bytes
    """What its id hashes; empty where it could not be recomputed."""


@dataclass(frozen=True, slots=True)
class _Transaction:
    id: bytes
    contract: Contract
    result: str
    proven: bool
    leaf: bytes | None


def has_block(answer: object, what: str) -> bool:
    """Whether a node's answer is a block: `{}` is none. Raises DecodeError for an error in its place."""
    block = mapping(answer, what)
    if "blockID" not in block and (error := block.get("Error") or block.get("error")):
        raise DecodeError(f"{what}: the node answers {said(error)!r}")
    return bool(block)


def read_header(answer: object, asked: int | None, what: str) -> Header:
    """The header of the block asked for, or of whichever it is where `asked` is None.

    Raises DecodeError for a malformed answer, ChainError for another block or an id that its header does not give.
    """
    block = mapping(answer, what)
    id_ = octets(block, "blockID", what, 32)
    raw = mapping(mapping(block.get("block_header"), f"{what}: block_header").get("raw_data"), f"{what}: raw_data")
    number = integer(raw, "number", what)
    if number != (number if asked is None else asked) or int.from_bytes(id_[:8]) != number:
        raise ChainError(f"{what}: the source answers with block {number}, id {id_.hex()}; ask another")
    parent = octets(raw, "parentHash", what, 32)
    if number and int.from_bytes(parent[:8]) != number - 1:
        raise ChainError(f"{what}: its parent {parent.hex()} is not of block {number - 1}")
    milliseconds = integer(raw, "timestamp", what)
    root = octets(raw, "txTrieRoot", what)
    if len(root) not in (0, 32):
        raise DecodeError(f"{what}: txTrieRoot has {len(root)} bytes, not 32")
    header = b""
    if raw.keys() <= _HEADER_FIELDS:
        header = hashes.header_bytes(
            timestamp=milliseconds,
            root=root,
            parent=parent,
            number=number,
            witness_id=integer(raw, "witness_id", what, -INT64 - 1),
            witness=octets(raw, "witness_address", what),
            version=integer(raw, "version", what, -(1 << 31), (1 << 31) - 1),
            state_root=octets(raw, "accountStateRoot", what),
        )
        if (computed := hashes.block_id(number, header)) != id_:
            raise ChainError(f"{what}: its header hashes to {computed.hex()}, its id is said to be {id_.hex()}")
    return Header(number, id_, parent, root, milliseconds, header)


def add_block(builder: Builder, header: Header, block: Json, info_answer: object, what: str) -> None:
    """Add a block's transactions, transfers and events to `builder` and close it.

    Raises DecodeError for malformed answers, ChainError where they contradict each other or their hashes.
    """
    genesis = header.number == 0
    entries = listing(block, "transactions", what, MOST_TRANSACTIONS)
    transactions = [_transaction(entry, f"{what}: transaction {at}", genesis) for at, entry in enumerate(entries)]
    if len({transaction.id for transaction in transactions}) != len(transactions):
        raise ChainError(f"{what}: a transaction stands in it twice")
    proof = _proof(builder, header, transactions, what)
    outcomes = {} if genesis else infos.read(info_answer, header.number, header.milliseconds, what)
    _match(transactions, outcomes, genesis, what)
    for transaction in transactions:
        name = f"block {header.number}: transaction {transaction.id.hex()}"
        if genesis:
            moves.grant(builder, transaction.contract, transaction.id, name)
        else:
            info = outcomes[transaction.id]
            moves.add(builder, transaction.contract, transaction.id, transaction.result, info, name)
    if _internal_given(transactions, outcomes):
        proof |= HAS_INTERNAL
    else:
        builder.notes.append("internal transactions are not given; a node reports them with vm.saveInternalTx = true")
    builder.end_block(header.number, header.id, header.parent, header.milliseconds // 1000, proof, header.raw)


def _internal_given(transactions: list[_Transaction], outcomes: dict[bytes, infos.Info]) -> bool:
    runs_code = any(t.contract.type in RUN_CODE or not t.contract.known for t in transactions)
    return not runs_code or any(info.internals_given for info in outcomes.values())


def _proof(builder: Builder, header: Header, transactions: list[_Transaction], what: str) -> int:
    proof = PROVEN_HEADER if header.raw else 0
    if not header.raw:
        builder.notes.append(f"{what}: its header has fields that are not known here; its id is not recomputed")
    leaves = [t.leaf for t in transactions if t.leaf is not None]
    if len(leaves) < len(transactions):
        builder.notes.append(f"{what}: the source does not give what its transactions' root is made of; not proven")
        return proof
    if (computed := hashes.transactions_root(leaves)) != (header.root or hashes.NO_ROOT):
        raise ChainError(
            f"{what}: its transactions have the root {computed.hex()}, its header says {header.root.hex()}: "
            "the source left out or changed transactions, ask another"
        )
    return proof | PROVEN_TRANSACTIONS if header.raw else proof


def _match(transactions: list[_Transaction], outcomes: dict[bytes, infos.Info], genesis: bool, what: str) -> None:
    ids = {transaction.id for transaction in transactions}
    if stray := [id_ for id_ in outcomes if id_ not in ids]:
        raise ChainError(f"{what}: an info of transaction {stray[0].hex()}, which is not in the block")
    if not genesis and (missing := [t.id for t in transactions if t.id not in outcomes]):
        raise ChainError(
            f"{what}: no info of transaction {missing[0].hex()} and {len(missing) - 1} more; "
            "ask a node that keeps transaction history (storage.transHistory.switch = on)"
        )


def _transaction(entry: object, what: str, genesis: bool) -> _Transaction:
    fields = mapping(entry, what)
    id_ = octets(fields, "txID", what, 32)
    raw = octets(fields, "raw_data_hex", what)
    json = mapping(fields["raw_data"], f"{what}: raw_data") if "raw_data" in fields else None
    results = listing(fields, "ret", what, 1_000)
    result = ""
    if results:
        result = word(mapping(results[0], f"{what}: ret"), "contractRet", what)
    if not raw:
        if json is None or genesis:
            raise DecodeError(f"{what}: neither raw_data_hex nor raw_data; ask another source")
        return _Transaction(id_, contracts.from_json(json, what), result, False, None)
    if (computed := hashes.transaction_id(raw)) != id_:
        raise ChainError(f"{what}: raw_data_hex hashes to {computed.hex()}, its txID is said to be {id_.hex()}")
    contract = contracts.from_raw(raw, what, genesis=genesis)
    if json is not None and not genesis and not fields.get("visible"):
        contracts.same(contract, contracts.from_json(json, what), what)
    return _Transaction(id_, contract, result, True, _leaf(fields, raw, results, what, genesis))


def _leaf(fields: Json, raw: bytes, results: list[Any], what: str, genesis: bool) -> bytes | None:
    """The leaf in the root; None where the source gives less than it needs."""
    if ("signature" not in fields and not genesis) or any(key.isdigit() for key in fields):
        return None
    signatures = [
        octets({"signature": signature}, "signature", what)
        for signature in listing(fields, "signature", what, _MOST_SIGNATURES)
    ]
    encoded = [_result(mapping(result, f"{what}: ret"), what) for result in results]
    known = [result for result in encoded if result is not None]
    return hashes.transaction_leaf(raw, signatures, known) if len(known) == len(encoded) else None


def _result(result: Json, what: str) -> bytes | None:
    contract_ret = word(result, "contractRet", what) or "DEFAULT"
    code = word(result, "ret", what) or "SUCESS"
    if result.keys() == {"contractRet"} and contract_ret in _RESULTS:
        return integer_field(3, _RESULTS.index(contract_ret))
    if not result.keys() <= _RESULT_FIELDS or contract_ret not in _RESULTS or code not in _CODES:
        return None
    parts = [
        (number, integer_field(number, integer(result, name, what, -INT64 - 1)))
        for name, number in _RESULT_AMOUNTS.items()
    ]
    parts += [
        (2, integer_field(2, _CODES.index(code))),
        (3, integer_field(3, _RESULTS.index(contract_ret))),
        (14, bytes_field(14, word(result, "assetIssueID", what).encode())),
        (25, bytes_field(25, octets(result, "orderId", what))),
    ]
    return b"".join(part for _, part in sorted(parts))
