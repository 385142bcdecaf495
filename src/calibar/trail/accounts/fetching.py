"""Fetch what a trail on an account chain needs, as it advances: the histories of addresses that labelled value reaches.

An address's history in an asset is asked for, and what the address has; where they do not agree, it is not whole, and
the trail stops there. Where an address passes all on to one wallet, what the rule on deposit addresses looks at is
asked for too, so that the trail stops at the customer's. Blocks of the trail's steps are asked for whole where a node
is among the servers: then they are proven as far as their chain allows, and exchanges in them are seen.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from calibar.chains.bitcoin.sources.told import Refusal
from calibar.chains.remote.transfers_told import (
    Asset,
    BlockQuestion,
    Class,
    Explorer,
    HoldingQuestion,
    MovementsQuestion,
    NewestQuestion,
    Question,
    TransactionQuestion,
)
from calibar.errors import AddressError, ChainError, DecodeError, UsageError
from calibar.ledger.case.accounts.snapshot import CaseAccountSnapshot
from calibar.ledger.case.accounts.state import classes_of
from calibar.ledger.case.case import NODES, Case, Lie
from calibar.trail.accounts.sweeps import Sweeps
from calibar.trail.accounts.trace import Resting, resting
from calibar.trail.fetching import REORGANISATION, Limits, Progress, Report
from calibar.trail.policy import Policy

_HASH: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{64})(?::.*)?")
_EVERYTHING: Final[dict[str, tuple[Class, ...]]] = {
    "ethereum": ("value", "internal", "token"),
    "tron": ("value", "token", "trc10"),
}
Wanted = tuple[bytes, Asset]
SERVICE: Final = "a service's; name single transfers (hash:index), or allow more with --most N, or use a full ledger"
_MOST_LIES: Final = 5
"""Questions to which a server may tell what cannot be before it is asked no more of them at once."""
_PEERS: Final = 6
"""Other addresses that pay a wallet that are looked at, to see whether it collects from deposit addresses."""


class AccountFetcher:
    """Asks servers in turn, and a case keeps what they answer."""

    def __init__(
        self,
        case: Case,
        sources: Sequence[Explorer],
        limits: Limits | None = None,
        progress: Progress | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises UsageError where there is no server, or one of another chain."""
        if not sources:
            raise UsageError("name a server to fetch from: --source URL")
        self.case, self.state, self.sources = case, case.accounts, list(sources)
        self.limits = limits or Limits()
        self.report = Report()
        self._say = progress or (lambda *_: None)
        self._clock, self._began = clock, clock()
        self._known, self._lies, self._left = self._size(), len(case.lies), len(self.state.left)
        self._asked: set[Wanted] = set()
        self._listed: set[Wanted] = set()
        """Whose balances, and whose histories were asked for."""
        self._peers: dict[Wanted, list[bytes]] = {}
        """By wallet that may collect from deposit addresses: those that were chosen to look at."""

    def _size(self) -> int:
        return len({row.txid for row in self.state.rows()})

    # Asking.

    def ask(self, questions: Iterable[Question]) -> dict[Question, str]:
        """Ask servers in turn until each question has an answer; those without, and why."""
        pending, why = list(dict.fromkeys(questions)), dict[Question, str]()
        wanted, answered = list(pending), set[Question]()
        for source in list(self.sources):
            if not pending:
                break
            answered |= self._ask_one(source, pending, why)
            told_by_word = any(isinstance(q, MovementsQuestion | HoldingQuestion) for q in pending)
            everybody = self.limits.cross_check and told_by_word
            if not everybody:
                pending = [question for question in pending if question not in answered]
        self.report.lies = self.case.lies[self._lies :]
        self.report.left = list(dict.fromkeys(map(self._shown, self.state.left[self._left :])))
        self.report.transactions = self._size() - self._known
        return {question: why.get(question, "no server told it") for question in wanted if question not in answered}

    def _ask_one(self, source: Explorer, pending: Sequence[Question], why: dict[Question, str]) -> set[Question]:
        """What a server answered; why it did not is added. A lie costs its own question alone, until there are many."""
        waiting = list[Question]()
        for question in pending:
            if (told := self._too_many(question, source.place)) is None:
                waiting.append(question)
            else:
                why[question] = f"it has more than {told} transfers of that kind, as was told before: {SERVICE}"
        answered: set[Question] = set()
        for _ in range(_MOST_LIES):
            done, lies = 0, len(self.case.lies)
            try:
                for question, answer in source.ask(waiting):
                    done += 1
                    if not isinstance(answer, Refusal):
                        answered.add(question)
                    else:
                        why.setdefault(question, f"{answer.why}: {SERVICE}" if answer.too_much else answer.why)
                break
            except (DecodeError, ChainError, UsageError) as error:
                if all(lie.place != source.place for lie in self.case.lies[lies:]):  # else it was kept as one
                    self._lie(source.place, str(error))
                why |= {question: str(error) for question in waiting[done:] if question not in why}
                waiting = waiting[done + 1 :]
                if isinstance(error, UsageError):
                    self.sources.remove(source)
                    if not self.sources:
                        raise
                    break
        return answered

    def _too_many(self, question: Question, place: str) -> int | None:
        """How many rows a list has more than, where a server told before that these are more than are wanted."""
        if not isinstance(question, MovementsQuestion):
            return None
        told = self.state.too_many.get((question.address, question.what, question.asset), {}).get(place)
        if told is None or question.first > told.first or question.most > told.most:
            return None
        return told.most

    def _lie(self, place: str, what: str) -> None:
        self.case.lies.append(Lie(place, what))

    def begin(self) -> None:
        """Learn each server's last block."""
        for source in list(self.sources):
            try:
                list(source.ask([NewestQuestion()]))
            except (DecodeError, UsageError) as error:
                self._lie(source.place, str(error))
                if isinstance(error, UsageError):
                    self.sources.remove(source)
        self.report.lies = self.case.lies[self._lies :]
        if not self.sources:
            raise UsageError("; ".join(f"{lie.place}: {lie.what}" for lie in self.report.lies))

    # What REFs name.

    def references(self, references: Sequence[str], only: Asset | None = None) -> None:
        """Fetch what REFs name: a transaction, or all that an address moved. Raises UsageError for one unknown."""
        for text in references:
            name = text.partition("=")[0]
            if match := _HASH.fullmatch(name):
                txid = bytes.fromhex(match[1])
                refused = self.ask([TransactionQuestion(txid)])
                if refused and not any(row.txid == txid for row in self.state.rows()):
                    raise UsageError(f"{name}: {next(iter(refused.values()))}; check it, or name another server")
                continue
            address = self.address_called(name)
            if only is not None:
                self._history([(address, only)])
            else:
                family = self.state.chain.partition(":")[0]
                self._listings([(address, what, None) for what in _EVERYTHING[family]], name)
            if not any(address in (row.sender, row.recipient) for row in self.state.rows()):
                why = "; ".join(dict.fromkeys(self.report.unanswered.values())) or "no server knows a transfer of it"
                raise UsageError(f"{name}: {why}")
        self.case.commit()

    def address_called(self, text: str) -> bytes:
        """Raises UsageError for what is no address, with where it is wrong."""
        try:
            if self.state.chain.startswith("tron:"):
                from calibar.chains.tron.address import parse  # noqa: PLC0415

                return parse(text)
            from calibar.chains.ethereum.address import decode  # noqa: PLC0415

            return decode(text)
        except AddressError as error:
            raise UsageError(f"{error}; a REF is an address, a transaction's hash or hash:index") from None

    def _listings(self, wanted: list[tuple[bytes, Class, Asset | None]], name: str) -> None:
        questions = [MovementsQuestion(address, what, self.limits.history, 0, asset) for address, what, asset in wanted]
        for question, why in self.ask(questions).items():
            assert isinstance(question, MovementsQuestion)  # noqa: S101
            self.report.unanswered[f"{name} ({question.what})"] = why

    def _history(self, wanted: Sequence[Wanted]) -> None:
        """Ask what addresses have of an asset, and for all that they moved of it: where it was listed before, only the
        second time, when what they have has shown that it is not all."""
        questions: list[Question] = []
        for address, asset in wanted:
            if (address, asset) in self._asked or not self.state.is_listed(address, asset):
                questions += self._lists(address, asset, 0)
                self._listed.add((address, asset))
            questions.append(HoldingQuestion(address, asset))
        self._ask_of_accounts(questions)
        self._asked.update(wanted)
        self.case.commit()

    def again(self, wanted: Iterable[Wanted], first: int) -> None:
        """Ask what addresses have of assets by now, and what they moved from a height on."""
        questions: list[Question] = []
        for address, asset in wanted:
            questions += [*self._lists(address, asset, first), HoldingQuestion(address, asset)]
        self._ask_of_accounts(questions)

    def _lists(self, address: bytes, asset: Asset, first: int) -> Iterator[MovementsQuestion]:
        only = asset if asset.contract is not None else None
        for what in classes_of(asset, self.state.chain):
            yield MovementsQuestion(address, what, self.limits.history, first, only)

    def _ask_of_accounts(self, questions: list[Question]) -> None:
        """Ask for lists and balances. A balance must not be older than the list beside it: one server is asked for both
        of each account in turn, several for all lists first."""
        parts = [questions]
        if len(self.sources) > 1:
            parts = [[q for q in questions if isinstance(q, MovementsQuestion) is lists] for lists in (True, False)]
        for part in parts:
            self.report.unanswered |= {self._listing(question): why for question, why in self.ask(part).items()}

    def _shown(self, txid: bytes) -> str:
        return txid.hex() if self.state.chain.startswith("tron:") else "0x" + txid.hex()

    def _name(self, address: bytes) -> str:
        if self.state.chain.startswith("tron:"):
            from calibar.chains.tron.address import to_base58  # noqa: PLC0415

            return to_base58(address)
        from calibar.chains.ethereum.address import encode  # noqa: PLC0415

        return encode(address)

    def _listing(self, question: Question) -> str:
        assert isinstance(question, MovementsQuestion | HoldingQuestion)  # noqa: S101
        what = question.what if isinstance(question, MovementsQuestion) else "balance"
        return f"{self._name(question.address)} ({what})"

    # Trails.

    def trail(self, references: Sequence[str], policy: Policy) -> CaseAccountSnapshot:
        """Fetch until labelled value rests where histories are whole, or a limit is reached."""
        self.references(references, self.asset_called(policy.asset))
        proven, looked = set[int](), set[bytes]()
        while True:
            snapshot = self.case.account_snapshot()
            found = resting(references, snapshot, policy)
            frontier = self._frontier(snapshot, found)
            if not frontier and ("deposit", 0) in policy.rules:
                frontier = self._beside_sweeps(snapshot, found, policy.as_of)
            if (ended := self._limit()) is not None and frontier:
                self.report.ended = ended
                break
            room = self.limits.blocks - len(proven)
            blocks = self._unproven(snapshot, found) - proven if room > 0 else set[int]()
            unplaced = self._unplaced(snapshot, found) - looked
            if not (frontier or blocks or unplaced):
                break
            self.report.rounds += 1
            self._say("transactions", self._size(), self.limits.transactions)
            if frontier:
                self._history(frontier)
            else:
                proven |= blocks
                looked |= unplaced
                self.ask(BlockQuestion(height) for height in sorted(blocks)[: max(0, room)])
                self.ask(TransactionQuestion(txid) for txid in sorted(unplaced))
                self.case.commit()
        self._say_what_is_not_whole(snapshot, found)
        return snapshot

    def asset_called(self, name: str | None) -> Asset | None:
        """As servers are asked about it; None for None."""
        if name is None:
            return None
        if name == "native":
            return Asset()
        if name.startswith("trc10:") and name[6:].isdecimal():
            return Asset(number=int(name[6:]))
        return Asset(contract=self.address_called(name))

    def _frontier(self, snapshot: CaseAccountSnapshot, found: Resting) -> list[Wanted]:
        """Whose histories labelled value makes worth asking for, and nobody was asked yet."""
        wanted = dict.fromkeys(one for one, _ in self._not_whole(snapshot, found))
        return [one for one in wanted if one not in self._listed]

    def _not_whole(self, snapshot: CaseAccountSnapshot, found: Resting) -> Iterator[tuple[Wanted, dict[str, Any]]]:
        """Where value rests of whose history not all is known; each with its row."""
        for row in found.holdings:
            asset = snapshot.find_asset(row["asset"])
            if row["reason"] in ("not looked at", "incomplete history") and asset is not None:
                yield (snapshot.read_address(row["account"]), snapshot.asset_told(asset)), row

    def _beside_sweeps(self, snapshot: CaseAccountSnapshot, found: Resting, as_of: int | None) -> list[Wanted]:
        """What the rule on deposit addresses must know of an address that passes all on to one wallet, and has done so
        with labelled value: its gas, and how some others that pay that wallet do. Each is asked for once."""
        wanted: list[Wanted] = []
        sweeps: dict[int, Sweeps] = {}
        native = snapshot.find_asset("native")
        limit = int(snapshot["blocks.first_transfer"][snapshot.as_of(as_of)[0]])
        for holding in dict.fromkeys(snapshot["transfers.sender"][found.carried].tolist()):
            asset = int(snapshot["holdings.asset"][holding])
            if asset == native or not snapshot.is_whole(holding):
                continue
            if asset not in sweeps:
                sweeps[asset] = Sweeps(snapshot, asset, limit)
            if (wallet := sweeps[asset].pays_alone(holding)) is None:
                continue
            told, owners = snapshot.asset_told(asset), snapshot["holdings.address"]
            collecting = snapshot.address_bytes(int(owners[wallet])), told
            if collecting not in self._peers:
                peers = sweeps[asset].peers(holding, wallet)[:_PEERS]
                self._peers[collecting] = [snapshot.address_bytes(int(owners[peer])) for peer in peers]
            beside = self._peers[collecting]
            wanted += [(snapshot.address_bytes(int(owners[holding])), Asset())]
            wanted += [(peer, asset_) for peer in beside for asset_ in (Asset(), told)]
        return [one for one in dict.fromkeys(wanted) if one not in self._asked]

    def _unproven(self, snapshot: CaseAccountSnapshot, found: Resting) -> set[int]:
        """Heights of steps in blocks that are not known whole, or that another branch may have taken since, also of
        late blocks without steps where a history does not add up; where no node is asked, none."""
        if not any(source.kind in NODES for source in self.sources):
            return set()
        blocks = np.unique(np.searchsorted(snapshot["blocks.first_transfer"], found.passed, "right") - 1)
        heights = {height for block in blocks.tolist() if (height := snapshot.height_of(block)) is not None}
        settled = self.state.tip - REORGANISATION
        old = {height for height in heights if height not in self.state.blocks or height > settled}
        if any(True for _ in self._not_whole(snapshot, found)):
            old |= {height for height in self.state.blocks if height > settled}
        return old | self.state.disputed()

    def _unplaced(self, snapshot: CaseAccountSnapshot, found: Resting) -> set[bytes]:
        """Transactions of steps of which no server said which log it was: asked for by themselves."""
        transactions = snapshot["transfers.tx"][found.passed[snapshot["transfers.position"][found.passed] < 0]]
        return {snapshot["transactions.hash"][tx].tobytes() for tx in transactions[transactions >= 0].tolist()}

    def _limit(self) -> str | None:
        if max(self._size(), len(self._asked), self.report.rounds) >= self.limits.transactions:
            return f"the limit of {self.limits.transactions} transactions"
        if self.limits.seconds is not None and self._clock() - self._began > self.limits.seconds:
            return f"the limit of {self.limits.seconds:g} seconds"
        return None

    def _say_what_is_not_whole(self, snapshot: CaseAccountSnapshot, found: Resting) -> None:
        for wanted, row in self._not_whole(snapshot, found):
            name = f"{row['account']} of {row['asset']}"
            if name in self.report.unanswered:
                continue
            told = self.state.holdings.get(wanted, {})
            said = ", ".join(f"{place} {one.amount}" for place, (one, _) in told.items()) or "nobody says what it has"
            self.report.unanswered[name] = f"its history is not known whole: it leaves {row['value']}; {said}"
