"""The commands on account chains, as a user and a user's script see them; bad input is one line and exit code 2."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from running import refused, succeeds, theft_ledger

from calibar.chains.ethereum.address import encode
from calibar.sandbox.scenarios import token_theft as story

RECORDING, GENESIS = story.RECORDING, story.GENESIS
NILE = Path(__file__).parent.parent / "chains" / "tron" / "recordings" / "nile-13232131.json"
HEIGHT = 13_232_131
WALLET = story.address("thief wallet 1")


@cache
def truth() -> story.TokenTruth:
    return story.truth()


@cache
def refs() -> tuple[str, ...]:
    return tuple(f"{each.transaction}:{each.log_index}" for each in truth().sources)


def written(account: str) -> str:
    """An address with its checksum."""
    return encode(bytes.fromhex(account[2:]))


@pytest.fixture(scope="session")
def token_theft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of the recorded chain, to be read only."""
    folder = tmp_path_factory.mktemp("tokens") / "ledger"
    succeeds("ingest", "ethereum", RECORDING, "--genesis", GENESIS, "--ledger", folder)
    return folder


@pytest.fixture(scope="session")
def tron(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of one real block of TRON's test network."""
    block = json.loads(NILE.read_text("utf-8"))
    infos = [{"id": each["txID"], "blockNumber": HEIGHT} for each in block["transactions"]]
    path = tmp_path_factory.mktemp("tron") / "nile.jsonl"
    lines = (
        {"path": f"/wallet/{name}", "body": {"num": HEIGHT}, "result": result}
        for name, result in (("getblockbynum", block), ("gettransactioninfobyblocknum", infos))
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


# A recording of an Ethereum node.


def test_a_recording_becomes_a_ledger(tmp_path: Path) -> None:
    ingest = ("ingest", "ethereum", RECORDING, "--ledger", tmp_path / "ledger", "--json", "-")
    part = succeeds(*ingest, "--genesis", GENESIS, "--to-height", 40).document
    assert (part["height"], part["added_blocks"]) == (40, 41)
    whole = succeeds(*ingest, "--chain-id", 31337).document
    assert (whole["height"], whole["added_blocks"]) == (story.TIP, story.TIP - 40)
    assert (whole["network"], whole["blocks"], whole["island"]) == ("ethereum:31337", story.TIP + 1, False)
    assert whole["transactions"] == len(story.steps())
    assert set(whole["proven_blocks"].values()) == {story.TIP + 1}
    assert whole["shortfalls"] == 1  # the poisoner's look-alike token: mule 5 never had any
    info = succeeds("ledger", "info", tmp_path / "ledger", "--json", "-").document
    assert {key: info[key] for key in info if key != "seconds"} == {
        key: whole[key] for key in whole if key not in ("seconds", "added_blocks")
    }
    assert succeeds("ledger", "check", tmp_path / "ledger").out.startswith(b"sound")


def test_what_a_ledger_holds_for_people(token_theft: Path) -> None:
    info = succeeds("ledger", "info", token_theft, "--json", "-").document
    screen = succeeds("ledger", "info", token_theft).out.decode()
    for shown in (info["network"], info["tip"], info["digest"], f"{len(story.steps())} transactions"):
        assert shown in screen
    assert "below zero" in screen


def test_an_answer_recorded_again_makes_the_same_ledger(token_theft: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl.gz"
    source = ("--ledger", tmp_path / "first", "--genesis", GENESIS)
    succeeds("ingest", "ethereum", RECORDING, *source, "--record", copy)
    again = ("ingest", "ethereum", copy, "--ledger", tmp_path / "second", "--genesis", GENESIS, "--json", "-")
    digest = succeeds(*again).document["digest"]
    assert digest == succeeds("ledger", "info", token_theft, "--json", "-").document["digest"]
    line = refused("ingest", "ethereum", RECORDING, "--ledger", tmp_path / "third", "--record", copy)
    assert "is there already" in line


def _bytes_of(what: str) -> bytes:
    return {
        "a web page": b"<!DOCTYPE html><html><body>rate limited</body></html>\n",
        "nothing": b"",
        "noise": bytes(range(128, 256)) * 20,
        "noise that is packed": gzip.compress(bytes(range(128, 256)) * 20),
        "a packed file cut off": RECORDING.read_bytes()[:5000],
        "JSON of another kind": b'{"jsonrpc": "2.0", "id": 1, "result": "0x1"}\n',
        "a list": b"[1, 2, 3]\n",
        "deep nesting": b"[" * 100_000 + b"\n",
        "no block": b'{"method": "eth_chainId", "params": [], "result": "0x1"}\n',
        "a chain that is no number": b'{"method": "eth_chainId", "params": [], "result": "one"}\n',
    }[what]


@pytest.mark.parametrize(
    "what",
    [
        "a web page", "nothing", "noise", "noise that is packed", "a packed file cut off", "JSON of another kind",
        "a list", "deep nesting", "no block", "a chain that is no number",
    ],
)  # fmt: skip
@pytest.mark.parametrize("chain", ["ethereum", "tron"])
def test_what_is_no_recording_is_refused(chain: str, what: str, tmp_path: Path) -> None:
    for name in ("source.jsonl", "source.jsonl.gz", "source.html"):
        path = tmp_path / name
        path.write_bytes(_bytes_of(what))
        options = ("--network", "nile") if chain == "tron" else ()
        assert name in refused("ingest", chain, path, *options, "--ledger", tmp_path / "ledger")


@pytest.mark.parametrize("chain", ["ethereum", "tron"])
def test_a_source_that_is_not_there_is_refused(chain: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ledger = ("--ledger", tmp_path / "ledger")
    for source in (tmp_path / "nowhere", tmp_path / "empty", "ftp://example.org", "http://", "http://["):
        line = refused("ingest", chain, source, *ledger)
        assert len(line) < 500
    line = refused("ingest", chain, "http://user:secret@127.0.0.1:1/v3/another-secret?key=third", *ledger)
    assert "127.0.0.1" in line and "secret" not in line and "third" not in line
    assert not (tmp_path / "ledger").exists()


def test_another_chain_is_refused(token_theft: Path, tron: Path, tmp_path: Path) -> None:
    new = ("--ledger", tmp_path / "ledger")
    line = refused("ingest", "ethereum", RECORDING, "--chain-id", 1, *new)
    assert "is of chain 31337, not of chain 1" in line
    genesis = json.loads(GENESIS.read_text("utf-8"))
    first = next(iter(genesis["alloc"].values()))
    first["balance"] = hex(int(first["balance"], 16) + 1)
    other = tmp_path / "genesis.json"
    other.write_text(json.dumps(genesis), "utf-8")
    line = refused("ingest", "ethereum", RECORDING, "--genesis", other, *new)
    assert "stateRoot is not that of the genesis file" in line
    for file, said in ((RECORDING, "not JSON"), (tmp_path / "nowhere", "cannot be read")):
        assert said in refused("ingest", "ethereum", RECORDING, "--genesis", file, *new)
    island = ("--network", "nile", "--island", "--from-height", HEIGHT)
    line = refused("ingest", "tron", tron, *island, "--ledger", token_theft)
    assert "is a ledger of ethereum:31337, not of tron:nile" in line
    line = refused("ingest", "ethereum", RECORDING, "--ledger", theft_ledger(tmp_path / "bitcoin"))
    assert "is a ledger of regtest, not of ethereum:31337" in line
    line = refused("ingest", "ethereum", RECORDING, "--ledger", tmp_path)
    assert "is not empty and holds no ledger" in line


def test_a_late_start_is_an_island_only_when_asked_for(tmp_path: Path) -> None:
    ledger = ("--ledger", tmp_path / "ledger")
    assert "--island" in refused("ingest", "ethereum", RECORDING, "--from-height", 50, *ledger)
    assert "ends at block 84" in refused("ingest", "ethereum", RECORDING, "--from-height", 85, "--island", *ledger)
    done = succeeds("ingest", "ethereum", RECORDING, "--from-height", 50, "--island", *ledger)
    assert b"island of blocks: 35 blocks" in done.out
    deposit = story.address("deposit of mule 5")
    assert "heights 50 to 84" in refused("holdings", deposit, "--at", 49, *ledger)


def test_damage_is_found(token_theft: Path, tmp_path: Path) -> None:
    spoilt = Path(shutil.copytree(token_theft, tmp_path / "spoilt"))
    path = spoilt / "transfers.amount.bin"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 // 32 * 32] ^= 1
    path.write_bytes(data)
    done = refused_with_damage(spoilt)
    assert "transfers.amount" in done


def refused_with_damage(ledger: Path) -> str:
    return refused("ledger", "check", ledger, code=1)


# What ethereum-etl exported.

PEOPLE = ["0x" + f"{n:040x}" for n in (0xA1, 0xB2, 0xC3)]
TOKEN, MINER = "0x" + "70" * 20, "0x" + "c0" * 20


def word(number: int) -> str:
    return f"0x{number:064x}"


def table(path: Path, columns: str, *rows: Sequence[object]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns.split(","), *rows])


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Three blocks: a payment of 7 wei for a fee of 210,000; 100 tokens minted; 40 of them paid on."""
    folder = tmp_path / "export"
    folder.mkdir()
    ann, bob, eve = PEOPLE
    table(
        folder / "blocks.csv", "number,hash,parent_hash,miner,timestamp,base_fee_per_gas",
        *((n, word(1000 + n), word(999 + n), MINER, 1_600_000_000 + n, "") for n in range(3)),
    )  # fmt: skip
    table(
        folder / "transactions.csv",
        "hash,block_number,transaction_index,from_address,to_address,value,gas,gas_price,transaction_type",
        (word(1), 0, 0, ann, bob, 7, 21_000, 10, 0),
    )
    table(
        folder / "receipts.csv",
        "transaction_hash,transaction_index,block_number,gas_used,contract_address,status,effective_gas_price",
        (word(1), 0, 0, 21_000, "", 1, 10),
    )
    table(
        folder / "token_transfers.csv",
        "token_address,from_address,to_address,value,transaction_hash,log_index,block_number",
        (TOKEN, "0x" + "00" * 20, ann, 100, word(2), 0, 1),
        (TOKEN, ann, eve, 40, word(3), 5, 2),
    )
    table(
        folder / "tokens.csv",
        "address,symbol,name,decimals,total_supply,block_number",
        (TOKEN, "TOK", "Tok", 1, 100, 1),
    )
    return folder


def test_an_export_becomes_a_ledger_and_a_trail(export: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ingest = ("ingest", "ethereum", export, "--ledger", ledger)
    assert "--chain-id" in refused(*ingest)
    info = succeeds(*ingest, "--chain-id", 1, "--json", "-").document
    assert (info["network"], info["blocks"], info["assets"]) == ("ethereum:1", 3, 2)
    assert set(info["proven_blocks"].values()) == {0}
    assert any("nothing of it is proven" in note for note in info["notes"])
    ann, bob, eve = PEOPLE
    balances = {
        who: {
            row["asset"]: int(row["balance"])
            for row in succeeds("holdings", who, "--ledger", ledger, "--json", "-").document["holdings"]
        }
        for who in (ann, bob, eve, MINER)
    }
    token = written(TOKEN)
    assert balances == {
        ann: {"native": -210_007, token: 60}, bob: {"native": 7}, eve: {token: 40}, MINER: {"native": 210_000},
    }  # fmt: skip
    assert "BELOW ZERO" in succeeds("holdings", ann, "--ledger", ledger).out.decode()
    trail = succeeds("trace", f"{word(2)}:0", "--ledger", ledger, "--json", "-").document
    held = {(row["account"], row["traced"]["S0"], row["state"]) for row in trail["holdings"]}
    assert held == {(written(ann), "60", "held"), (written(eve), "40", "held")}
    assert [(step["transfer"], step["proof"]) for step in trail["steps"]] == [(f"{word(3)}:5", "reported")]


def test_a_damaged_export_is_refused(export: Path, tmp_path: Path) -> None:
    ingest = ("ingest", "ethereum", export, "--chain-id", 1, "--ledger", tmp_path / "ledger")
    for option in ("--genesis", "--record"):
        assert "not for exports" in refused(*ingest, option, tmp_path / "file")
    good = (export / "blocks.csv").read_bytes()
    for what in ("a web page", "nothing", "noise"):
        (export / "blocks.csv").write_bytes(_bytes_of(what))
        assert "blocks" in refused(*ingest)
    (export / "blocks.csv").write_bytes(good.replace(word(1001).encode(), word(7).encode(), 1))
    assert "block 2" in refused(*ingest)
    (export / "blocks.csv").unlink()
    assert "has no blocks" in refused(*ingest)
    assert refused("ingest", "ethereum", export / "tokens.csv", "--chain-id", 1, "--ledger", tmp_path / "ledger")


# TRON.


def test_a_recording_of_tron_becomes_an_island(tron: Path, tmp_path: Path) -> None:
    """One real block: two payments of 5,000 TRX, and who paid them had what nobody here knows."""
    ledger = tmp_path / "ledger"
    ingest = ("ingest", "tron", tron, "--ledger", ledger)
    assert "name the network" in refused(*ingest)
    assert "has no block 0; name the first that it has by --from-height" in refused(*ingest, "--network", "nile")
    info = succeeds(*ingest, "--network", "nile", "--island", "--from-height", HEIGHT, "--json", "-").document
    assert (info["network"], info["height"], info["blocks"], info["island"]) == ("tron:nile", HEIGHT, 1, True)
    assert info["tip"] == json.loads(NILE.read_text("utf-8"))["blockID"]
    assert (info["transactions"], info["transfers"]) == (3, 2)
    assert succeeds("ledger", "check", ledger).out.startswith(b"sound")
    paid = "TEDXvFpg3x687PDwWRNnLforg1GvcoH8jN"
    assert "5,000.000000  native" in succeeds("holdings", paid, "--ledger", ledger).out.decode()
    done = succeeds("holdings", "TFysCB929XGezbnyumoFScyevjDggu3BPq", "--ledger", ledger)
    assert "-10,000.000000  native  BELOW ZERO" in done.out.decode()
    trail = succeeds("trace", paid, "--ledger", ledger, "--json", "-").document
    assert trail["totals"]["S0"]["native"]["held"] == "5000000000"
    assert refused("holdings", paid[:-1] + "M", "--ledger", ledger)
    assert refused("holdings", WALLET, "--ledger", ledger)


# Holdings and trails.


def test_holdings_are_what_the_node_says(token_theft: Path) -> None:
    answers: dict[str, Any] = {}
    for line in gzip.decompress(RECORDING.read_bytes()).splitlines():
        entry = json.loads(line)
        answers[json.dumps([entry["method"], entry["params"]])] = entry["result"]
    for owned in truth().addresses:
        document = succeeds("holdings", owned.address, "--ledger", token_theft, "--json", "-").document
        assert document["at"] is None
        for row in document["holdings"]:
            call = {"to": row["asset"].lower(), "data": "0x70a08231" + owned.address[2:].rjust(64, "0")}
            question = (
                ["eth_getBalance", [owned.address, "latest"]]
                if row["asset"] == "native"
                else ["eth_call", [call, "latest"]]
            )
            if row["asset"] != written(truth().role("look-alike dollar")):
                assert int(row["balance"]) == int(answers[json.dumps(question)], 16)


def test_holdings_at_a_height_for_people(token_theft: Path) -> None:
    loot = truth().sources[0]
    screen = succeeds("holdings", WALLET, "--ledger", token_theft, "--at", loot.height).out.decode()
    assert f"95,200.000000  {written(loot.token)} says it is 'USDX'" in screen
    screen = succeeds("holdings", WALLET, "--ledger", token_theft, "--at", loot.height - 1).out.decode()
    assert "95,200" not in screen


def test_wrong_holdings_are_refused(token_theft: Path, tmp_path: Path) -> None:
    ledger = ("--ledger", token_theft)
    address = written(WALLET)
    digit = next(at for at in range(2, 42) if address[at].isalpha())
    mistyped = address[:digit] + address[digit].swapcase() + address[digit + 1 :]
    for wrong, said in (
        (mistyped, f"the checksum of {mistyped} does not fit"),
        (WALLET[:-1], "is not an address"),
        ("0x" + "12" * 20, "check it, or ingest on"),
        ("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "is not an address"),
        ("", "is not an address"),
    ):
        assert said in refused("holdings", wrong, *ledger)
        assert refused("trace", wrong, *ledger)
    assert "heights 0 to 84" in refused("holdings", WALLET, "--at", 85, *ledger)
    assert refused("holdings", WALLET, "--at", -1, *ledger)
    assert "there is no ledger" in refused("holdings", WALLET, "--ledger", tmp_path)
    assert "is a Bitcoin ledger" in refused("holdings", WALLET, "--ledger", theft_ledger(tmp_path))


def test_a_trail_on_standard_output_is_one_canonical_document(token_theft: Path, tmp_path: Path) -> None:
    for method in ("fifo", "lifo", "haircut", "libr"):
        ask = ("trace", *refs(), "--ledger", token_theft, "--method", method)
        done = succeeds(*ask, "--json", "-")
        assert done.out == rfc8785.dumps(done.document)
        assert done.document["policy"]["method"] == method
        succeeds(*ask, "--json", tmp_path / "trail.json")
        assert (tmp_path / "trail.json").read_bytes() == done.out
    stops = {
        option: succeeds("trace", *refs(), "--ledger", token_theft, "--stop", option, "--json", "-").document["policy"]
        for option in ("none", "deposit")
    }
    assert [stops[option]["stops"] for option in ("none", "deposit")] == [[], ["deposit"]]


WORDS: Mapping[str, tuple[str, ...]] = {
    "en": ("Where the value rests", "held: unspent", "stopped: deposit address of one customer", "converted in"),
    "es": ("Dónde está el valor", "sin mover: sin gastar", "dirección de depósito de un cliente", "convertido"),
}


@pytest.mark.parametrize("language", ["en", "es"])
def test_a_trail_for_people_in_both_languages(language: str, token_theft: Path) -> None:
    trail = succeeds("trace", *refs(), "--ledger", token_theft, "--json", "-").document
    screen = succeeds("trace", *refs(), "--ledger", token_theft, "--language", language).out.decode()
    for words in WORDS[language]:
        assert words in screen
    for other in set(WORDS) - {language}:
        assert not [words for words in WORDS[other] if words in screen]
    for row in trail["holdings"]:
        assert row["account"] in screen
        assert str(sum(map(int, row["traced"].values()))) in screen
    for label in trail["totals"]:
        assert f"{label}: " in screen
    assert "95,200.000000" in screen and "17,680.550000" in screen
    frozen = succeeds("trace", *refs(), "--ledger", token_theft, "--as-of", 45, "--language", language).out.decode()
    assert {"en": "frozen by the issuer", "es": "congelado por el emisor"}[language] in frozen


def test_wrong_trails_are_refused(token_theft: Path) -> None:
    ledger = ("--ledger", token_theft)
    for options, said in (
        (("--unit", "coin"), "is not followed by coin"),
        (("--method", "tiho"), "tiho"),
        (("--method", "magic"), "there is no method 'magic'"),
        (("--stop", "exchange"), "there is no stop rule 'exchange'"),
        (("--as-of", 85), "heights 0 to 84"),
        (("--as-of", 10), "later than the as-of height"),
        (("--asset", "USDX"), "USDX"),
        (("--asset", "trc10:5"), "trc10:5"),
        (("--segments",), "coins only"),
        (("--max-hops", 0), "hops"),
        (("--min-amount", 0), "minimum amount"),
        (("--language", "fr"), "language"),
    ):
        assert said in refused("trace", refs()[0], *ledger, *options)
    for ref, said in (
        ("0x" + "00" * 32, "no transaction"),
        (truth().sources[0].transaction + ":999", "has no transfer '999'"),
        (refs()[0] + "=0", "no amount"),
        (refs()[0] + "=1.5", "no amount"),
        (f"{refs()[0]}={'9' * 5000}", "no amount"),
        (refs()[0][:-3], "a REF is"),
        ("the thief's wallet", "a REF is"),
        ("", "a REF is"),
    ):
        assert said in refused("trace", ref, *ledger)
    assert "S1" in refused("trace", refs()[0], refs()[0], *ledger)
