"""A case from an explorer: the same transfers and trails as from the chain's own blocks, where both have the facts."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from evm_explorers import Reply, Row, Server, serving
from node_in_memory import InMemory

import calibar
from calibar.chains.ethereum.sources.etherscan import Etherscan
from calibar.chains.ethereum.sources.node import EvmNode
from calibar.chains.facts import BURNT_FEE, FAILED, FEE, INTERNAL, integers
from calibar.errors import UsageError
from calibar.labels.table import read_labels
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.case.case import Case
from calibar.sandbox.scenarios import token_theft as story
from calibar.trail.accounts.fetching import AccountFetcher
from calibar.trail.cases import gather
from calibar.trail.fetching import Limits, Report
from calibar.trail.policy import Policy

CHAIN = "ethereum:31337"
Change = Callable[[str, list[Row]], list[Row]]


class RecordedEtherscan:
    """Etherscan's API over the recorded theft, from its blocks as the ledger has them and its node's own answers."""

    def __init__(self, snapshot: AccountSnapshot) -> None:
        self.snapshot = snapshot
        lines = [json.loads(line) for line in gzip.decompress(story.RECORDING.read_bytes()).splitlines()]
        blocks = [line["result"] for line in lines if line["method"] == "eth_getBlockByNumber" and line["result"]]
        self.sent = {tx["hash"]: tx for block in blocks for tx in block["transactions"] if isinstance(tx, dict)}
        told = [line["result"] for line in lines if line["method"] == "eth_getBlockReceipts" and line["result"]]
        self.receipts = {receipt["transactionHash"]: receipt for block in told for receipt in block}
        self.rows: dict[str, list[Row]] = {"txlist": [], "txlistinternal": [], "tokentx": []}
        self.change: Change = lambda _, rows: rows
        self.balance: Callable[[int], int] = lambda amount: amount
        self._transactions()
        self._transfers()

    def _base(self, transaction: int) -> Row:
        snapshot = self.snapshot
        block = int((snapshot["blocks.first_tx"] <= transaction).sum()) - 1
        return {
            "blockNumber": str(snapshot.height_of(block)), "timeStamp": str(snapshot.block_time(block)),
            "hash": snapshot.tx_hash(transaction), "blockHash": snapshot.block_hash(block),
            "transactionIndex": str(transaction - int(snapshot["blocks.first_tx"][block])), "nonce": "0",
        }  # fmt: skip

    def _transactions(self) -> None:
        snapshot = self.snapshot
        fees = integers(snapshot["transactions.fee"].reshape(-1, 4))
        for at in range(snapshot.counts["transactions"]):
            sent = self.sent[snapshot.tx_hash(at)]
            failed = int(snapshot["transactions.status"][at]) == FAILED
            made = "" if sent["to"] else snapshot.address_name(int(snapshot["transactions.recipient"][at]))
            self.rows["txlist"].append(
                self._base(at) | {
                    "from": sent["from"], "to": sent["to"] or "", "value": str(int(sent["value"], 16)), "gas": "1",
                    "gasPrice": str(fees[at]), "gasUsed": "1", "isError": str(int(failed)), "input": "0x",
                    "txreceipt_status": str(int(not failed)), "contractAddress": made, "confirmations": "5",
                }
            )  # fmt: skip

    def _transfers(self) -> None:
        snapshot = self.snapshot
        amounts = integers(snapshot["transfers.amount"].reshape(-1, 4))
        for at in range(snapshot.counts["transfers"]):
            tx, asset = int(snapshot["transfers.tx"][at]), snapshot.asset_name(int(snapshot["transfers.asset"][at]))
            if tx < 0:
                continue
            ends = [self._end(at, side) for side in ("sender", "recipient")]
            row = self._base(tx) | {"from": ends[0], "to": ends[1], "value": str(amounts[at])}
            if asset != "native":
                said = snapshot.naming(int(snapshot["transfers.asset"][at]))
                self.rows["tokentx"].append(
                    row | {
                        "contractAddress": asset, "tokenName": said["name"], "tokenSymbol": said["symbol"],
                        "tokenDecimal": str(said["decimals"]), "confirmations": "5",
                    }
                )  # fmt: skip
            elif int(snapshot["transfers.kind"][at]) == INTERNAL:
                self.rows["txlistinternal"].append(
                    row | {"contractAddress": "", "type": "call", "input": "", "gas": "1", "gasUsed": "1",
                           "traceId": f"0_{int(snapshot['transfers.position'][at])}", "isError": "0", "errCode": ""}
                )  # fmt: skip
            else:
                assert int(snapshot["transfers.kind"][at]) in (FEE, BURNT_FEE, 0)

    def _end(self, transfer: int, side: str) -> str:
        holding = int(self.snapshot[f"transfers.{side}"][transfer])
        zero = "0x" + "00" * 20
        return zero if holding < 0 else self.snapshot.address_name(int(self.snapshot["holdings.address"][holding]))

    def __call__(self, path: str, query: dict[str, str]) -> Reply:
        assert query["chainid"] == "31337"
        action = query["action"]
        if action == "txlistinternal" and "txhash" in query:
            rows = [row for row in self.rows[action] if row["hash"] == query["txhash"]]
            status, words = ("1", "OK") if rows else ("0", "No transactions found")
            return 200, {"status": status, "message": words, "result": rows}
        if action in self.rows:
            page, size, who = int(query["page"]), int(query["offset"]), query["address"].lower()
            only = query.get("contractaddress", "").lower()
            rows = [
                row for row in self.rows[action]
                if who in (row["from"].lower(), row["to"].lower(), row["contractAddress"].lower())
                and only in ("", row["contractAddress"].lower())
                and int(query["startblock"]) <= int(row["blockNumber"]) <= int(query["endblock"])
            ]  # fmt: skip
            rows = self.change(action, rows)[(page - 1) * size : page * size]
            status, words = ("1", "OK") if rows else ("0", "No transactions found")
            return 200, {"status": status, "message": words, "result": rows}
        if action in ("balance", "tokenbalance"):
            asset = self.snapshot.find_asset(query.get("contractaddress", "native"))
            address = self.snapshot.find_address(bytes.fromhex(query["address"][2:]))
            holding = self.snapshot.find_holding(asset, address) if asset is not None and address is not None else None
            amount = 0 if holding is None else self.snapshot.balance(holding)
            return 200, {"status": "1", "message": "OK", "result": str(self.balance(amount))}
        told: dict[str, Any] = {
            "eth_blockNumber": lambda: hex(self.snapshot.manifest.height),
            "eth_getTransactionByHash": lambda: self.sent.get(query["txhash"]),
            "eth_getTransactionReceipt": lambda: self.receipts.get(query["txhash"]),
        }
        if action in told:
            return 200, {"jsonrpc": "2.0", "id": 1, "result": told[action]()}
        return 200, {"status": "0", "message": "NOTOK", "result": f"Error! Missing Or invalid Action name {action}"}


@pytest.fixture
def server(token_theft: Path) -> Iterator[tuple[RecordedEtherscan, Server]]:
    explorer = RecordedEtherscan(AccountSnapshot(token_theft))
    with serving(explorer) as found:
        yield explorer, found


def fetched(server: tuple[RecordedEtherscan, Server], folder: Path, *references: str, **options: Any) -> Report:
    policy = options.pop("policy", Policy(unit="address"))
    return gather(
        folder, references, [f"etherscan+{server[1].url}/v2/api"], network_name=CHAIN, policy=policy, **options
    )


def compared(document: Any) -> dict[str, Any]:
    """What trails of the same facts have in common: all but who said so, and how it is proven."""
    steps = [{key: value for key, value in step.items() if key != "proof"} for step in document["steps"]]
    rows = ("account", "asset", "value", "traced", "state", "reason")
    holdings = [{key: row[key] for key in rows} for row in document["holdings"]]
    return {"steps": steps, "holdings": holdings, "totals": document["totals"], "sources": document["sources"]}


def sources() -> list[str]:
    return [f"{each.transaction}:{each.log_index}" for each in story.truth().sources]


def test_a_trail_of_tokens_from_an_explorer_is_that_from_the_blocks(
    server: tuple[RecordedEtherscan, Server], token_theft: Path, tmp_path: Path
) -> None:
    full, reference = calibar.open(token_theft), sources()[1]
    for method in ("fifo", "haircut", "libr"):
        policy = Policy(unit="address", method=method, stops=())
        report = fetched(server, tmp_path / "case", reference, policy=policy)
        assert report.lies == []
        case = calibar.open(tmp_path / "case")
        assert case.info["case"]
        trail = case.trace(reference, method=method, stops=())
        assert compared(trail.document) == compared(full.trace(reference, method=method, stops=()).document)
        assert {step["proof"] for step in trail.steps} == {"reported"}
        assert all(row["reported"] for row in trail.holdings)


@pytest.mark.parametrize("first", ["etherscan", "node"])
def test_blocks_of_the_trail_are_proven_wherever_a_node_is_named(
    server: tuple[RecordedEtherscan, Server], token_theft: Path, tmp_path: Path, first: str
) -> None:
    reference = sources()[1]
    with Case.for_fetching(tmp_path / "case", CHAIN) as case:
        explorer = Etherscan(f"{server[1].url}/v2/api", case.keep, chain_id=31337)
        node = EvmNode(InMemory(), case.keep, chain_id=31337)
        fetcher = AccountFetcher(case, [explorer, node] if first == "etherscan" else [node, explorer])
        fetcher.begin()
        fetcher.trail([reference], Policy(unit="address", stops=()))
        explorer.close()
    assert (fetcher.report.lies, fetcher.report.unanswered) == ([], {})
    found = calibar.open(tmp_path / "case")
    assert found.info["proven_blocks"]["logs"] > 0
    trail, whole = (one.trace(reference, stops=()) for one in (found, calibar.open(token_theft)))
    assert trail.steps == whole.steps
    assert {step["proof"] for step in trail.steps} == {"proven"}


def test_a_trail_back_from_an_explorer_is_that_from_the_blocks(
    server: tuple[RecordedEtherscan, Server], token_theft: Path, tmp_path: Path
) -> None:
    full = calibar.open(token_theft)
    (rest,) = [row for row in full.trace(sources()[1]).holdings if row["reason"] == "deposit"]
    last = [step for step in full.trace(sources()[1]).steps if step["outputs"][0]["account"] == rest["account"]][-1]
    policy = Policy(unit="address", method="fifo", direction="backward", stops=())
    report = fetched(server, tmp_path / "case", last["transfer"], policy=policy)
    assert (report.lies, report.unanswered) == ([], {})
    back = calibar.open(tmp_path / "case").trace(last["transfer"], stops=(), method="fifo", direction="backward")
    whole = full.trace(last["transfer"], stops=(), method="fifo", direction="backward")
    for part in ("steps", "origins"):
        told = [{**row, "proof": None} for row in back.document[part]]
        assert told == [{**row, "proof": None} for row in whole.document[part]]
    assert back.steps
    assert {row["reason"] for row in back.document["origins"]} == {"nobody"}


@pytest.mark.parametrize("method", ["fifo", "haircut"])
def test_a_trail_from_an_explorer_stops_at_the_customers_deposit_address(
    server: tuple[RecordedEtherscan, Server], token_theft: Path, tmp_path: Path, method: str
) -> None:
    """By the rule on sweeps: what it looks at beside the trail is fetched too."""
    full, reference = calibar.open(token_theft), sources()[1]
    report = fetched(server, tmp_path / "case", reference, policy=Policy(unit="address", method=method))
    assert (report.lies, report.unanswered) == ([], {})
    trail = calibar.open(tmp_path / "case").trace(reference, method=method)
    assert compared(trail.document) == compared(full.trace(reference, method=method).document)
    (stopped,) = [row for row in trail.holdings if row["reason"] == "deposit"]
    assert stopped["account"].lower() == story.truth().role("deposit of mule 5")
    assert stopped["inferred"]["hot_wallet"].lower() == story.truth().role("exchange 2 hot wallet")


def test_what_the_rule_looks_at_is_bounded_too(server: tuple[RecordedEtherscan, Server], tmp_path: Path) -> None:
    report = fetched(server, tmp_path / "case", sources()[1], limits=Limits(transactions=47))
    assert report.ended == "the limit of 47 transactions"
    trail = calibar.open(tmp_path / "case").trace(sources()[1])
    assert not [row for row in trail.holdings if row["reason"] == "deposit"]


def test_a_labelled_source_is_followed_all_the_same(
    server: tuple[RecordedEtherscan, Server], token_theft: Path, tmp_path: Path
) -> None:
    reference, full = sources()[1], calibar.open(token_theft)
    thief = full.trace(reference).document["sources"][0]["account"]
    path = tmp_path / "labels.csv"
    path.write_text(f"address,name,category,source,network\n{thief},Market,market,a list,{CHAIN}\n", "utf-8")
    policy = Policy(unit="address", labels=read_labels([path]))
    fetched(server, tmp_path / "case", reference, policy=policy)
    trail = calibar.open(tmp_path / "case").trace(reference, labels=path)
    assert compared(trail.document) == compared(full.trace(reference, labels=path).document)
    assert trail.steps


def test_the_facade_fetches_by_the_rules_of_the_chain(server: tuple[RecordedEtherscan, Server], tmp_path: Path) -> None:
    case = calibar.fetch(
        tmp_path / "case", sources()[1], sources=[f"etherscan+{server[1].url}/v2/api"], network=CHAIN,
        tell=lambda _: None, stops=("deposit",),
    )  # fmt: skip
    assert [row for row in case.trace(sources()[1]).holdings if row["reason"] == "deposit"]
    with pytest.raises(UsageError, match="stops are a list"):
        case.trace(sources()[1], stops="deposit")
    assert case.trace(sources()[1], stops=("none",)).document["policy"]["stops"] == []
    for wrong in ({"nonsense": "x"}, {"f" * 64: "x"}):
        with pytest.raises(UsageError, match="no address, as it must here"):
            case.trace(sources()[1], overrides=wrong)
    with pytest.raises(UsageError, match="for forward trails"):
        case.trace(sources()[1], direction="backward", overrides={"f" * 64: "x"})


def test_too_little_history_infers_no_deposit_address(server: tuple[RecordedEtherscan, Server], tmp_path: Path) -> None:
    """The trail's own addresses alone do not show that the wallet collects from several customers."""
    reference = sources()[1]
    fetched(server, tmp_path / "case", reference, policy=Policy(unit="address", stops=()))
    trail = calibar.open(tmp_path / "case").trace(reference)
    assert not [row for row in trail.holdings if "inferred" in row]


def test_a_labelled_addresss_history_is_not_asked_for(
    server: tuple[RecordedEtherscan, Server], token_theft: Path, tmp_path: Path
) -> None:
    reference, custodian = sources()[1], story.truth().role("deposit of mule 5")
    path = tmp_path / "labels.csv"
    path.write_text(
        f"address,name,category,source,network\n{custodian},Exchange 2,exchange,its letter,{CHAIN}\n"
        f"{custodian},Another chain's,mixer,its letter,ethereum:1\n",
        "utf-8",
    )
    policy = Policy(unit="address", labels=read_labels([path]))
    report = fetched(server, tmp_path / "case", reference, policy=policy)
    assert (report.lies, report.unanswered) == ([], {})
    address = bytes.fromhex(custodian[2:])
    assert not any(asked == address for asked, _ in Case(tmp_path / "case").accounts.holdings)
    trail = calibar.open(tmp_path / "case").trace(reference, labels=path)
    (row,) = [row for row in trail.holdings if row["account"].lower() == custodian]
    assert (row["state"], row["reason"]) == ("stopped", "label:exchange")
    assert row["labels"] == [{"name": "Exchange 2", "category": "exchange", "source": "its letter"}]
    assert trail.document["policy"]["stops"][0] == "label:exchange"
    whole = calibar.open(token_theft).trace(reference, labels=path)
    told = {(row["state"], row["reason"]) for row in whole.holdings if row["account"].lower() == custodian}
    assert told == {("held", "unspent"), ("stopped", "label:exchange")}
    for language, words in (("en", "label: exchange"), ("es", "etiqueta: exchange")):
        assert words in trail.html(language)
    why = {custodian: "the exchange has answered"}
    past = calibar.open(token_theft).trace(reference, labels=path, overrides=why)
    assert not [row for row in past.holdings if row["reason"] == "label:exchange"]
    assert past.document["policy"]["overrides"] == [{"past": custodian, "reason": "the exchange has answered"}]


def test_every_transfer_of_a_case_is_the_chains(
    server: tuple[RecordedEtherscan, Server], token_theft: Path, tmp_path: Path
) -> None:
    truth = story.truth()
    who = [owned.address for owned in truth.addresses][:12]
    gather(tmp_path / "case", who, [f"etherscan+{server[1].url}/v2/api"], network_name=CHAIN)
    case = calibar.open(tmp_path / "case")
    for address in who:
        told = {
            (row["transfer"].partition(":")[0], row["asset"], row["from"], row["to"], row["amount"])
            for row in case.transfers(address) if row["kind"] not in ("fee", "burnt fee", "burnt-fee")
        }  # fmt: skip
        known = {
            (row["transfer"].partition(":")[0], row["asset"], row["from"], row["to"], row["amount"])
            for row in calibar.open(token_theft).transfers(address)
            if row["kind"] not in ("fee", "burnt fee", "burnt-fee", "grant")
            and row["amount"] != "0"
            and not row["transfer"].startswith("block-")
        }
        assert {row for row in told if row[4] != "0"} == known, address


def test_histories_are_whole_only_where_the_balance_says_so(
    server: tuple[RecordedEtherscan, Server], tmp_path: Path
) -> None:
    truth = story.truth()
    dollar = dict(truth.contracts)["dollar"]
    reference = sources()[0].partition(":")[0]
    policy = Policy(unit="address", asset=dollar)
    fetched(server, tmp_path / "honest", reference, policy=policy)
    honest = calibar.open(tmp_path / "honest").info
    assert honest["whole_holdings"] > 0
    server[0].balance = lambda amount: amount + 1
    report = fetched(server, tmp_path / "other", reference, policy=policy)
    assert calibar.open(tmp_path / "other").info["whole_holdings"] == 0
    assert any("its history is not known whole" in why for why in report.unanswered.values())
    trail = calibar.open(tmp_path / "other").trace(reference, asset=dollar)
    assert {row["reason"] for row in trail.holdings} <= {"not looked at", "incomplete history"}


def test_rows_that_are_left_out_are_seen_by_the_balance(
    server: tuple[RecordedEtherscan, Server], tmp_path: Path
) -> None:
    reference = sources()[0].partition(":")[0]
    server[0].change = lambda action, rows: rows[:-1] if action == "tokentx" and len(rows) > 1 else rows
    report = fetched(server, tmp_path / "case", reference)
    assert any("its history is not known whole" in why for why in report.unanswered.values())


def test_offline_the_same_bytes(server: tuple[RecordedEtherscan, Server], tmp_path: Path) -> None:
    reference = sources()[0].partition(":")[0]
    fetched(server, tmp_path / "case", reference)
    asked = len(server[1].asked)
    first, again = (calibar.open(tmp_path / "case").trace(reference).json() for _ in range(2))
    assert first == again
    assert len(server[1].asked) == asked


def test_limits_and_another_chain(server: tuple[RecordedEtherscan, Server], tmp_path: Path) -> None:
    reference = sources()[0].partition(":")[0]
    report = fetched(server, tmp_path / "case", reference, limits=Limits(transactions=3))
    assert report.ended == "the limit of 3 transactions"
    with pytest.raises(UsageError, match="no kind of server for ethereum"):
        gather(tmp_path / "other", [reference], [f"trongrid+{server[1].url}"], network_name=CHAIN)


def exported(explorer: RecordedEtherscan, address: str, path: Path) -> Path:
    """An address's token transfers as Etherscan exports them for people."""
    head = ("Transaction Hash", "Blockno", "UnixTimestamp", "DateTime (UTC)", "From", "To", "TokenValue",
            "USDValueDayOfTx", "ContractAddress", "TokenName", "TokenSymbol")  # fmt: skip
    lines = [head]
    for row in explorer.rows["tokentx"]:
        if address.lower() in (row["from"].lower(), row["to"].lower()):
            value = f"{int(row['value']) // 10**6:,}.{int(row['value']) % 10**6:06}"
            when = datetime.fromtimestamp(int(row["timeStamp"]), UTC).strftime("%Y-%m-%d %H:%M:%S")
            lines.append((row["hash"], row["blockNumber"], row["timeStamp"], when, row["from"].lower(),
                          row["to"].lower(), value, "N/A", row["contractAddress"], "Dollar", "USD"))  # fmt: skip
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(lines)
    return path


def test_an_export_that_a_person_was_given_becomes_a_trail(
    server: tuple[RecordedEtherscan, Server], token_theft: Path, tmp_path: Path
) -> None:
    """The thief's transfers from a file, what he and the others have from a server: where they agree, it goes on."""
    dollar = dict(story.truth().contracts)["dollar"]
    full = calibar.open(token_theft)
    reference = sources()[1]
    txid = reference.partition(":")[0]
    policy = Policy(unit="address", stops=(), asset=dollar)
    trail = full.trace(reference, stops=(), asset=dollar)
    (thief,) = {row["account"] for row in trail.document["sources"]}
    file = exported(server[0], thief, tmp_path / "export.csv")
    listed: list[str] = []
    honest = server[0].change

    def counted(action: str, rows: list[Row]) -> list[Row]:
        listed.append(action)
        return honest(action, rows)

    server[0].change = counted
    gather(
        tmp_path / "case", [txid], [str(file), f"etherscan+{server[1].url}/v2/api"], network_name=CHAIN, policy=policy,
        stated=[f"decimals.{dollar}=6", f"address={thief}"],
    )  # fmt: skip
    case = calibar.open(tmp_path / "case")
    ours = case.trace(reference, stops=(), asset=dollar)
    assert compared(ours.document)["steps"] == compared(trail.document)["steps"]
    assert ours.totals == trail.totals
    asked = [path for path in server[1].asked if "tokentx" in path and thief.lower()[2:] in path.lower()]
    assert asked == []
    assert str(file.name) in " ".join(case.info["servers"])
