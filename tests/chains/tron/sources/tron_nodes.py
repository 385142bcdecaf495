"""A server on this machine that answers as java-tron does: over blocks made here, and ones that are real."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tron_builder import ALICE, BOB, CAROL, TRANSFER, USDT, block, h41, info, log, pad, seal, transfer, trigger
from tron_builder import word as word_of
from tron_explorers import START, Reply, Row

RECORDINGS = Path(__file__).parents[1] / "recordings"
NILE = (1_000_000, 13_232_131)
"""Real blocks of the network Nile; of the first the outcomes are real too."""
NUMBER = 1_002_000
FEE = 345_000


def recorded(number: int) -> tuple[Row, list[Row]]:
    """A real block and its outcomes."""
    told = json.loads((RECORDINGS / f"nile-{number}.json").read_text("utf-8"))
    if "block" in told:
        return told["block"], told["infos"]
    return told, [{"id": tx["txID"], "blockNumber": number} for tx in told["transactions"]]


def token_transfer(sender: bytes, recipient: bytes, amount: int, **more: Any) -> Row:
    """A call of USDT's `transfer`."""
    data = bytes.fromhex("a9059cbb") + recipient.rjust(32, b"\0") + amount.to_bytes(32)
    return trigger(sender, USDT, data, **more)


@dataclass
class NodeLike:
    """java-tron's HTTP API; `change` may lie about the answer of a path."""

    blocks: dict[int, Row]
    outcomes: dict[int, list[Row]] = field(default_factory=dict)
    accounts: dict[bytes, Row] = field(default_factory=dict)
    tokens: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    """By contract and owner; a contract with none does not exist."""
    change: Callable[[str, Any], object] = lambda _, answer: answer

    @property
    def network(self) -> str:
        return str(self.blocks[0]["blockID"][-16:])

    def __call__(self, path: str, fields: dict[str, str]) -> Reply:
        return 200, self.change(path.removeprefix("/wallet/"), copy.deepcopy(self._answer(path, fields)))

    def _answer(self, path: str, fields: dict[str, str]) -> object:
        number = int(fields.get("num", max(self.blocks)))
        match path.removeprefix("/wallet/"):
            case "getnowblock" | "getblockbynum":
                return self.blocks.get(number, {})
            case "gettransactioninfobyblocknum":
                return self.outcomes.get(number, []) if number > 0 else {}
            case "gettransactionbyid":
                sent = [tx for one in self.blocks.values() for tx in one.get("transactions", [])]
                return next((tx for tx in sent if tx["txID"] == fields["value"]), {})
            case "gettransactioninfobyid":
                known = [one for ones in self.outcomes.values() for one in ones]
                return next((one for one in known if one["id"] == fields["value"]), {})
            case "getaccount":
                return self.accounts.get(bytes.fromhex(fields["address"][2:]), {})
            case "triggerconstantcontract":
                return self._called(fields)
        return {"Error": f"class java.lang.IllegalArgumentException : no {path}"}

    def _called(self, fields: dict[str, str]) -> Row:
        assert fields["function_selector"] == "balanceOf(address)"
        contract, owner = (bytes.fromhex(fields[name][-40:]) for name in ("contract_address", "parameter"))
        if contract not in {token for token, _ in self.tokens}:
            return {"result": {"code": "CONTRACT_VALIDATE_ERROR", "message": b"Smart contract is not exist.".hex()}}
        caller = bytes.fromhex(fields["owner_address"][2:])
        call = trigger(caller, contract, bytes.fromhex("70a08231" + fields["parameter"]))
        del call["signature"]
        return {
            "result": {"result": True}, "energy_used": 935,
            "constant_result": [word_of(self.tokens.get((contract, owner), 0))],
            "transaction": {**call, "visible": False, "ret": [{}]},
        }  # fmt: skip


def account(address: bytes, balance: int, **more: object) -> Row:
    """An account in the shape that java-tron gives it, without what is zero."""
    held: Row = {"balance": balance} if balance else {}
    permission = {"permission_name": "owner", "threshold": 1, "keys": [{"address": h41(address), "weight": 1}]}
    return {
        "address": h41(address), **held, "create_time": START, "latest_opration_time": START, **more,
        "net_window_size": 28800000, "account_resource": {"energy_window_size": 28800000},
        "owner_permission": permission, "frozenV2": [{}, {"type": "ENERGY"}, {"type": "TRON_POWER"}],
    }  # fmt: skip


def chained(sent: Sequence[Sequence[tuple[Row, dict[str, Any]]]]) -> tuple[dict[int, Row], dict[int, list[Row]]]:
    """Blocks 0, 1, … of transactions, each with what its outcome has beside a fee; three seconds apart."""
    blocks: dict[int, Row] = {}
    outcomes: dict[int, list[Row]] = {}
    for number, here in enumerate([[], *sent]):
        parent = bytes.fromhex(blocks[number - 1]["blockID"]) if number else bytes(32)
        made = block(*(tx for tx, _ in here), number=number, parent=parent)
        made["block_header"]["raw_data"]["timestamp"] = START + 3000 * number
        seal(made)
        blocks[number] = made
        outcomes[number] = [
            info(tx, number=number, fee=FEE, blockTimeStamp=START + 3000 * number, **more) for tx, more in here
        ]
    return blocks, outcomes


def logged(sender: bytes, recipient: bytes, amount: int) -> dict[str, Any]:
    """What the outcome of a token's transfer has."""
    topics = [TRANSFER, pad(sender), pad(recipient)]
    return {"contract_address": h41(USDT), "log": [log(USDT, topics, word_of(amount))],
            "receipt": {"result": "SUCCESS", "net_fee": FEE}}  # fmt: skip


def story(*who: bytes) -> NodeLike:
    """ALICE pays BOB, and BOB passes some of it on to CAROL, in TRX and in USDT, on a network of their own."""
    alice, bob, carol = who or (ALICE, BOB, CAROL)
    blocks, outcomes = chained(
        [
            [(transfer(alice, bob, 9_000_000), {})],
            [(token_transfer(alice, bob, 700), logged(alice, bob, 700)), (transfer(alice, bob, 5, salt=2), {})],
            [(transfer(bob, carol, 4_000_000), {})],
            [(token_transfer(bob, carol, 300), logged(bob, carol, 300))],
            [],
        ]
    )
    accounts = {
        bob: account(bob, 5_000_005 - 2 * FEE, assetV2=[{"key": str(NUMBER), "value": 55}, {"key": "1", "value": 2}]),
        carol: account(carol, 4_000_000),
    }
    return NodeLike(blocks, outcomes, accounts, {(USDT, bob): 400, (USDT, carol): 300})
