"""What a transaction orders: its one contract, read from `raw_data_hex` and from the JSON beside it.

Source: java-tron, `Tron.proto` and the messages in `core/contract/`. Only the fields that name parties and amounts are
read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from calibar.chains.facts import ZERO
from calibar.chains.tron import address, protobuf
from calibar.chains.tron.jsonfields import INT64, Json, account, integer, listing, mapping, octets, said, word
from calibar.errors import AddressError, DecodeError

_ADDRESS, _AMOUNT, _BYTES = range(3)
_Shape = Mapping[str, tuple[tuple[int, ...], int]]
"""A field's numbers, from the outermost message, and what it holds."""
_OWNER: Final[_Shape] = {"owner_address": ((1,), _ADDRESS)}
_OWNER_SECOND: Final[_Shape] = {"owner_address": ((2,), _ADDRESS)}

_SHAPES: Final[dict[str, tuple[int, _Shape]]] = {
    "AccountCreateContract": (0, {**_OWNER, "account_address": ((2,), _ADDRESS)}),
    "TransferContract": (1, {**_OWNER, "to_address": ((2,), _ADDRESS), "amount": ((3,), _AMOUNT)}),
    "TransferAssetContract": (
        2, {
            "asset_name": ((1,), _BYTES), "owner_address": ((2,), _ADDRESS), "to_address": ((3,), _ADDRESS),
            "amount": ((4,), _AMOUNT),
        },
    ),
    "VoteAssetContract": (3, _OWNER),
    "VoteWitnessContract": (4, _OWNER),
    "WitnessCreateContract": (5, _OWNER),
    "AssetIssueContract": (
        6, {
            **_OWNER, "name": ((2,), _BYTES), "abbr": ((3,), _BYTES), "total_supply": ((4,), _AMOUNT),
            "precision": ((7,), _AMOUNT),
        },
    ),
    "WitnessUpdateContract": (8, _OWNER),
    "ParticipateAssetIssueContract": (
        9, {**_OWNER, "to_address": ((2,), _ADDRESS), "asset_name": ((3,), _BYTES), "amount": ((4,), _AMOUNT)},
    ),
    "AccountUpdateContract": (10, _OWNER_SECOND),
    "FreezeBalanceContract": (11, _OWNER),
    "UnfreezeBalanceContract": (12, _OWNER),
    "WithdrawBalanceContract": (13, _OWNER),
    "UnfreezeAssetContract": (14, _OWNER),
    "UpdateAssetContract": (15, _OWNER),
    "ProposalCreateContract": (16, _OWNER),
    "ProposalApproveContract": (17, _OWNER),
    "ProposalDeleteContract": (18, _OWNER),
    "SetAccountIdContract": (19, _OWNER_SECOND),
    "CreateSmartContract": (
        30, {
            **_OWNER, "new_contract.call_value": ((2, 5), _AMOUNT), "call_token_value": ((3,), _AMOUNT),
            "token_id": ((4,), _AMOUNT),
        },
    ),
    "TriggerSmartContract": (
        31, {
            **_OWNER, "contract_address": ((2,), _ADDRESS), "call_value": ((3,), _AMOUNT), "data": ((4,), _BYTES),
            "call_token_value": ((5,), _AMOUNT), "token_id": ((6,), _AMOUNT),
        },
    ),
    "UpdateSettingContract": (33, _OWNER),
    "ExchangeCreateContract": (41, _OWNER),
    "ExchangeInjectContract": (42, _OWNER),
    "ExchangeWithdrawContract": (43, _OWNER),
    "ExchangeTransactionContract": (44, _OWNER),
    "UpdateEnergyLimitContract": (45, _OWNER),
    "AccountPermissionUpdateContract": (46, _OWNER),
    "ClearABIContract": (48, _OWNER),
    "UpdateBrokerageContract": (49, _OWNER),
    "ShieldedTransferContract": (51, {"transparent_from_address": ((1,), _ADDRESS)}),
    "MarketSellAssetContract": (52, _OWNER),
    "MarketCancelOrderContract": (53, _OWNER),
    "FreezeBalanceV2Contract": (54, _OWNER),
    "UnfreezeBalanceV2Contract": (55, _OWNER),
    "WithdrawExpireUnfreezeContract": (56, _OWNER),
    "DelegateResourceContract": (57, _OWNER),
    "UnDelegateResourceContract": (58, _OWNER),
    "CancelAllUnfreezeV2Contract": (59, _OWNER),
}  # fmt: skip
_NAMES: Final = {number: name for name, (number, _) in _SHAPES.items()}

RUN_CODE: Final = frozenset({"CreateSmartContract", "TriggerSmartContract"})


@dataclass(frozen=True, slots=True)
class Contract:
    """The one contract of a transaction."""

    type: str
    """Name, or `contract type N` for one that is not known here."""
    addresses: dict[str, bytes]
    """20 bytes by field; not there where the field is empty."""
    amounts: dict[str, int]
    """In sun or a token's base units; 0 where not given."""
    octets: dict[str, bytes]

    @property
    def known(self) -> bool:
        """Whether its parties and amounts were read."""
        return self.type in _SHAPES

    @property
    def owner(self) -> bytes:
        """Who signed and pays; ZERO where the contract does not say (a shielded sender, a type not known)."""
        return self.addresses.get("owner_address", self.addresses.get("transparent_from_address", ZERO))


def from_raw(raw: bytes, what: str, *, genesis: bool = False) -> Contract:
    """The contract in a transaction's `raw_data` bytes.

    Raises DecodeError for bytes that are none, for more or fewer than one contract, for an amount below zero. With
    `genesis`, parties that are no addresses are left out and amounts may be below zero: the first block has both.
    """
    entries = protobuf.each_of(protobuf.decode(raw, what), 11, what)
    if len(entries) != 1:
        raise DecodeError(f"{what}: {len(entries)} contracts; TRON allows one")
    outer = protobuf.decode(entries[0], what)
    number = protobuf.integer_of(outer, 1, what)
    name = _NAMES.get(number)
    if name is None:
        return Contract(f"contract type {number}", {}, {}, {})
    wrapped = protobuf.decode(protobuf.bytes_of(outer, 2, what), what)
    url = protobuf.bytes_of(wrapped, 1, what)
    if url.rpartition(b"/")[2] != f"protocol.{name}".encode():
        raise DecodeError(f"{what}: a {name} whose parameter is a {said(url.decode('latin-1'))}")
    message = protobuf.decode(protobuf.bytes_of(wrapped, 2, what), what)
    contract = Contract(name, {}, {}, {})
    for field, (path, kind) in _SHAPES[name][1].items():
        inner = message
        for step in path[:-1]:
            inner = protobuf.decode(protobuf.bytes_of(inner, step, what), what)
        if kind == _AMOUNT:
            amount = protobuf.integer_of(inner, path[-1], what)
            if amount < 0 and not genesis:
                raise DecodeError(f"{what}: {field} {amount} is below zero")
            contract.amounts[field] = amount
        elif kind == _BYTES:
            contract.octets[field] = protobuf.bytes_of(inner, path[-1], what)
        elif party := protobuf.bytes_of(inner, path[-1], what):
            try:
                contract.addresses[field] = address.from_bytes(party)
            except AddressError as e:
                if not genesis:
                    raise DecodeError(f"{what}: {field}: {e}") from None
    return contract if genesis else _complete(contract, what)


def from_json(raw_data: Json, what: str) -> Contract:
    """The contract in a transaction's `raw_data` as JSON. Raises DecodeError as `from_raw` does."""
    entries = listing(raw_data, "contract", what, 1_000)
    if len(entries) != 1:
        raise DecodeError(f"{what}: {len(entries)} contracts; TRON allows one")
    entry = mapping(entries[0], what)
    name = word(entry, "type", what)
    if name not in _SHAPES:
        return Contract(f"contract {said(name)!r}", {}, {}, {})
    value = mapping(mapping(entry.get("parameter"), f"{what}: parameter").get("value"), f"{what}: value")
    contract = Contract(name, {}, {}, {})
    for field, (_, kind) in _SHAPES[name][1].items():
        *outer, last = field.split(".")
        inner = value
        for step in outer:
            inner = mapping(inner.get(step, {}), f"{what}: {step}")
        if kind == _AMOUNT:
            contract.amounts[field] = integer(inner, last, what)
        elif kind == _BYTES:
            contract.octets[field] = octets(inner, last, what)
        elif inner.get(last):
            contract.addresses[field] = account(inner, last, what)
    return _complete(contract, what)


def _complete(contract: Contract, what: str) -> Contract:
    for field, (_, kind) in _SHAPES[contract.type][1].items():
        if kind == _ADDRESS and field not in contract.addresses and field != "transparent_from_address":
            raise DecodeError(f"{what}: a {contract.type} without {field}")
    return contract


def same(raw: Contract, json: Contract, what: str) -> None:
    """Raises DecodeError where the JSON says something else than the bytes."""
    if raw.type != json.type and raw.known:
        raise DecodeError(f"{what}: raw_data says {json.type}, raw_data_hex {raw.type}")
    if raw.known and raw != json:
        ours, theirs = ({**c.addresses, **c.amounts, **c.octets} for c in (raw, json))
        names = {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}
        raise DecodeError(f"{what}: raw_data and raw_data_hex differ in {', '.join(sorted(names))}")


def token_number(name: bytes) -> int | None:
    """The number of a TRC-10 token from `asset_name`; None for the names in use before tokens had numbers."""
    if not name.isdigit() or name[:1] == b"0" or len(name) > 19 or not 1_000_000 < int(name) <= INT64:
        return None
    return int(name)


def token_asset(number: int) -> bytes:
    """A TRC-10 token as the 20 bytes of an asset."""
    return number.to_bytes(20)
