"""A case's folder: which chain it is of, what servers answered, and the facts that follow from it.

`case.json` says the network and which servers were told about the case; `responses.jsonl` is the evidence. Nothing else
is kept: whoever opens the folder checks every response again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Self

from calibar.chains.bitcoin.anchors import anchors
from calibar.chains.bitcoin.networks import network as network_called
from calibar.chains.bitcoin.sources.told import Exchange
from calibar.collection import uncollected
from calibar.errors import ChainError, DamageError, DecodeError, LedgerError, UsageError
from calibar.ledger.case.accounts.snapshot import CaseAccountSnapshot
from calibar.ledger.case.accounts.state import AccountState
from calibar.ledger.case.headers import HeaderChain
from calibar.ledger.case.kept import LOCK, RECORDS, Log, read_kept
from calibar.ledger.case.snapshot import CaseSnapshot
from calibar.ledger.case.state import State
from calibar.ledger.columns import sync_file
from calibar.ledger.manifest import NAME as MANIFEST
from calibar.ledger.manifest import sync_folder
from calibar.ledger.store import no_space

NAME: Final = "case.json"
FORMAT: Final = 1
KINDS: Final = {
    **{kind: f"bitcoin.sources.{kind}" for kind in ("electrum", "esplora", "rpc", "files")},
    **{kind: f"ethereum.sources.{kind}" for kind in ("node", "etherscan", "blockscout")},
    **{kind: f"tron.sources.{kind}" for kind in ("tronnode", "trongrid", "tronscan")},
    "csv_export": "remote.csv_export",
}
"""Kinds of servers: modules of calibar.chains, each with its `read`."""
NODES: Final = ("node", "tronnode")
"""Kinds that give whole blocks of account chains."""
_ACCOUNT_CHAIN: Final = re.compile(r"ethereum:[0-9]{1,18}|tron:[a-z0-9-]{1,20}")


@dataclass(frozen=True, slots=True)
class Settings:
    """What is decided of a case and follows from nothing else."""

    network: str
    anchors: dict[str, str] = field(default_factory=dict)
    """Height to hash as displayed: blocks that the operator takes as known, besides those that come with Calíbar."""
    disclosed: dict[str, int] = field(default_factory=dict)
    """Servers on other machines that were asked about the case, and when first (seconds since 1970 UTC)."""


@dataclass(frozen=True, slots=True)
class Lie:
    """What a server told that cannot be true, or is no answer."""

    place: str
    what: str


def is_case(folder: Path) -> bool:
    """Whether a folder holds a case."""
    return (folder / NAME).is_file()


def read_settings(folder: Path) -> Settings:
    """Raises LedgerError where there is no case, DamageError where its file is not one."""
    path = folder / NAME
    try:
        document = json.loads(path.read_text("utf-8"))
        if document.pop("format") != FORMAT:
            raise LedgerError(f"{folder} is a case of another format; use a newer Calíbar")
        settings = Settings(**document)
        if not all(type(when) is int for when in settings.disclosed.values()):
            raise ValueError
        check_network(settings.network)
        known_blocks(settings)
    except FileNotFoundError:
        raise LedgerError(f"there is no case in {folder}; make one with `calibar fetch`") from None
    except OSError as error:
        raise LedgerError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UsageError):
        raise DamageError(f"{path} is damaged; restore it") from None
    return settings


def write_settings(folder: Path, settings: Settings) -> None:
    """Replace the case's file, whole or not at all."""
    with no_space(folder):
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f"{NAME}.part"
        part.write_text(json.dumps({"format": FORMAT, **asdict(settings)}, indent=1, sort_keys=True) + "\n", "utf-8")
        sync_file(part)
        part.replace(folder / NAME)
        sync_folder(folder)


def known_blocks(settings: Settings) -> dict[int, bytes]:
    """Height to hash in wire order of every block that is taken as known. Raises ValueError for one that is none."""
    if is_account_chain(settings.network):
        return {}
    named = {int(height): bytes.fromhex(name)[::-1] for height, name in settings.anchors.items()}
    if any(len(name) != 32 for name in named.values()):
        raise ValueError
    return anchors(settings.network) | named


class Case:
    """The facts of a case as its responses give them; read-only unless it was opened for fetching."""

    @uncollected()
    def __init__(self, folder: Path) -> None:
        """Read and check every response. Raises LedgerError, DamageError."""
        self.folder = folder
        self.settings = read_settings(folder)
        self.state = _new_state(self.settings)
        self.lies: list[Lie] = []
        """What servers told that cannot be true: kept as evidence, and taken in nowhere."""
        self.kinds: set[str] = set()
        """Kinds of servers that were asked."""
        self._log: Log | None = None
        for kept in read_kept(folder):
            self._take(kept.exchange)

    @classmethod
    def for_fetching(cls, folder: Path, network: str | None, known: Mapping[str, str] | None = None) -> Self:
        """Open a case to add to it, or begin one. Raises LedgerError where the folder is something else."""
        if (folder / MANIFEST).exists():
            raise LedgerError(f"{folder} is a full ledger, not a case; name another folder")
        if not is_case(folder):
            if folder.exists() and any(path.name not in (f"{NAME}.part", LOCK, RECORDS) for path in folder.iterdir()):
                raise LedgerError(f"{folder} is not empty and holds no case; name a new folder")
            check_network(network or "mainnet")
            write_settings(folder, Settings(network or "mainnet", dict(known or {})))
        elif network is not None and read_settings(folder).network != network:
            raise LedgerError(f"{folder} is a case of {read_settings(folder).network}, not of {network}")
        log = Log(folder)
        try:
            case = cls(folder)
        except BaseException:
            log.close()
            raise
        case._log = log
        return case

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Commit, and let others fetch."""
        if self._log is not None:
            self._log.close()

    def keep(self, exchange: Exchange) -> None:
        """Write an exchange down, and take in what it tells."""
        if self._log is None:
            raise LedgerError(f"the case in {self.folder} is open for reading only")
        self._log.keep(exchange)
        self._take(exchange)

    def commit(self) -> None:
        """What was kept so far is there after any crash."""
        if self._log is not None:
            self._log.commit()

    def disclose(self, place: str, when: Callable[[], float]) -> bool:
        """Remember that a server on another machine is asked about the case; whether it was not before."""
        if place in self.settings.disclosed:
            return False
        told = {**self.settings.disclosed, place: int(when())}
        self.settings = Settings(self.settings.network, self.settings.anchors, told)
        write_settings(self.folder, self.settings)
        return True

    def snapshot(self) -> CaseSnapshot:
        """The case as a ledger. Raises LedgerError for one of an account chain."""
        return CaseSnapshot(self.folder, self.coins)

    def account_snapshot(self) -> CaseAccountSnapshot:
        """The case as a ledger of an account chain. Raises LedgerError for one of Bitcoin."""
        return CaseAccountSnapshot(self.folder, self.accounts)

    @property
    def is_account_chain(self) -> bool:
        """Whether its facts are transfers rather than coins."""
        return is_account_chain(self.settings.network)

    @property
    def coins(self) -> State:
        """The facts of a Bitcoin case."""
        if isinstance(self.state, State):
            return self.state
        raise LedgerError(f"{self.folder} is a case of {self.settings.network}, not of a Bitcoin network")

    @property
    def accounts(self) -> AccountState:
        """The facts of a case on an account chain."""
        if isinstance(self.state, AccountState):
            return self.state
        raise LedgerError(f"{self.folder} is a case of {self.settings.network}, not of an account chain")

    @property
    def node(self) -> str | None:
        """Kind of the node that was asked, where one of an account chain was."""
        return next((kind for kind in NODES if kind in self.kinds), None)

    def transactions(self) -> set[bytes]:
        """Ids of all transactions that any server told, as hashed."""
        if isinstance(self.state, State):
            return set(self.state.transactions)
        return {row.txid for row in self.state.rows()} | self.state.in_blocks()

    def _take(self, exchange: Exchange) -> None:
        before = len(self.state.refused)
        self.kinds.add(exchange.kind)
        try:
            told = list(read_exchange(exchange))
            for one in told:
                self.state.learn(one, exchange.place)
            if not told and isinstance(self.state, AccountState):
                self.state.refuse(question_of(exchange), exchange.place)
        except (ChainError, DecodeError) as error:
            self.state.refused.append((exchange.place, str(error)))
            if isinstance(self.state, AccountState):
                self.state.refuse(question_of(exchange), exchange.place)
        self.lies += [Lie(place, what) for place, what in self.state.refused[before:]]


def kinds_of(network: str) -> set[str]:
    """Kinds of servers of a network's family."""
    family = network.partition(":")[0] if is_account_chain(network) else "bitcoin"
    both = {"remote"} if is_account_chain(network) else set()
    return {kind for kind, module in KINDS.items() if module.partition(".")[0] in {family, *both}}


def read_exchange(exchange: Exchange) -> Iterable[Any]:
    """What a kept exchange tells. Raises DecodeError, ChainError, or DamageError for one of no known kind."""
    told: Iterable[Any] = _module(exchange.kind).read(exchange.request, exchange.response)
    return told


def question_of(exchange: Exchange) -> Any:
    """What a kept request of an account chain's server asked; None for one that is no question."""
    return _module(exchange.kind).question_of(exchange.request)


def is_account_chain(network: str) -> bool:
    """Whether a case's network is an account chain: those are `family:name`, Bitcoin's have no colon."""
    return ":" in network


def check_network(name: str) -> None:
    """Raises UsageError for a name that no chain has."""
    if not is_account_chain(name):
        network_called(name)
    elif not _ACCOUNT_CHAIN.fullmatch(name):
        raise UsageError(f"there is no chain {name[:40]!r}; write ethereum:N with the chain's id, or tron:mainnet")


def _new_state(settings: Settings) -> State | AccountState:
    if is_account_chain(settings.network):
        return AccountState(settings.network)
    network = network_called(settings.network)
    return State(network, HeaderChain(network, known_blocks(settings)))


@cache
def _module(kind: str) -> Any:
    if kind not in KINDS:
        raise DamageError(f"a response of the unknown kind {kind[:40]!a}; use a newer Calíbar")
    return import_module(f"calibar.chains.{KINDS[kind]}")
