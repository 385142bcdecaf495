"""Wrong questions: one line on standard error, exit code 2, no traceback. A check that finds damage answers 1."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from running import info, refused, run_calibar, succeeds, theft, theft_ledger, truth, write_blocks

REF = truth().refs[0]
TXID = REF[:64]
VALUE = truth().stolen[0].amount
ADDRESS = next(owned.address for owned in truth().addresses if owned.address.startswith("bcrt1q"))


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return theft_ledger(tmp_path_factory.mktemp("refusals"))


@pytest.fixture
def copied(ledger: Path, tmp_path: Path) -> Path:
    """A ledger to be spoilt."""
    return Path(shutil.copytree(ledger, tmp_path / "copied"))


WRONG_REFS = {
    "an address with a wrong letter": (
        ADDRESS[:-3] + ("q" if ADDRESS[-3] != "q" else "p") + ADDRESS[-2:],
        "no address",
    ),
    "an address cut short": (ADDRESS[:-1], "no address"),
    "another network's SegWit address": ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "mainnet"),
    "another network's Base58 address": ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "mainnet"),
    "an address nobody paid": ("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "receives nothing"),
    "a script nobody paid": ("script:" + "00" * 32, "receives nothing"),
    "a script that is no digest": ("script:abcd", "64 hex digits"),
    "no address at all": ("the thief's wallet", "no address"),
    "nothing": ("", "empty"),
    "only an amount": ("=5", "empty"),
    "a very long text": ("q" * 10_000, "no address"),
    "a text of another script": ("ñandú", "no address"),
    "63 hex digits": (TXID[:-1], "63"),
    "65 hex digits": (TXID + "0", "65"),
    "63 hex digits and an output": (TXID[:-1] + ":0", "63"),
    "an unknown transaction": ("00" * 32, "no transaction"),
    "an unknown transaction's coin": ("00" * 32 + ":0", "no transaction"),
    "an output too many": (TXID + ":1", "outputs 0 to 0"),
    "an output past 32 bits": (f"{TXID}:{2**32}", "outputs 0 to 0"),
    "an output past all numbers": (f"{TXID}:{'9' * 5000}", "no output"),
    "a negative output": (TXID + ":-1", "txid:vout"),
    "an output left out": (TXID + ":", "txid:vout"),
    "an output that is a word": (TXID + ":one", "txid:vout"),
    "an output in other digits": (TXID + ":٠", "txid:vout"),
    "an amount of nothing": (REF + "=0", "no amount"),
    "a negative amount": (REF + "=-1", "no amount"),
    "part of a satoshi": (REF + "=1.5", "no amount"),
    "an amount in words": (REF + "=all", "no amount"),
    "an amount left out": (REF + "=", "no amount"),
    "two amounts": (REF + "=1=2", "no amount"),
    "an exponent": (REF + "=1e3", "no amount"),
    "an amount in other digits": (REF + "=٣", "no amount"),
    "more than there is": (f"{REF}={VALUE + 1}", str(VALUE)),
    "an amount past all numbers": (f"{REF}={'9' * 5000}", REF),
}


@pytest.mark.parametrize("what", list(WRONG_REFS))
def test_a_wrong_ref_is_refused(what: str, ledger: Path) -> None:
    ref, said = WRONG_REFS[what]
    line = refused("trace", ref, "--ledger", ledger)
    assert said in line
    assert len(line) < 6_000


@pytest.mark.parametrize("first", [REF, TXID, REF + f"={VALUE}"])
@pytest.mark.parametrize("second", [REF, TXID, REF + "=1"])
def test_a_ref_that_earlier_ones_took_is_refused(first: str, second: str, ledger: Path) -> None:
    assert "S1" in refused("trace", first, second, "--ledger", ledger)


def test_a_ref_without_value_is_refused(ledger: Path) -> None:
    # Each coinbase commits to its block's witnesses in an output of 0 satoshi.
    coinbase = theft().economy.blocks[1].transactions[0].txid
    assert "labels nothing" in refused("trace", f"{coinbase}:1", "--ledger", ledger)


@pytest.mark.parametrize("ref", [REF, TXID, ADDRESS])
def test_a_ref_later_than_as_of_is_refused(ref: str, ledger: Path) -> None:
    assert "as-of" in refused("trace", ref, "--ledger", ledger, "--as-of", 0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--method", "lifo"), "not built yet"),
        (("--method", "poison"), "not built yet"),
        (("--method", "tiho"), "not built yet"),
        (("--method", "libr"), "for accounts only"),
        (("--method", "FIFO"), "fifo, haircut"),
        (("--unit", "address"), "is not followed by address"),
        (("--unit", "entity"), "not built yet"),
        (("--unit", "wallet"), "there is coin"),
        (("--direction", "backward"), "not built yet"),
        (("--direction", "sideways"), "there is forward"),
        (("--fees", "burn"), "stop, follow"),
        (("--stop", "deposit"), "coinjoin"),
        (("--stop", "something"), "something"),
        (("--stop", "none", "--stop", "coinjoin"), "none"),
        (("--stop", "labels"), "--labels FILE"),
        (("--stop", "label:exchange"), "--labels FILE"),
        (("--stop", "outputs:0"), "outputs:N"),
        (("--stop", "outputs:N"), "no stop rule 'outputs:N'"),
        (("--override", "f" * 64 + "=known"), "an override names transaction ffff"),
        (("--override", "f" * 64 + "=caf\udce9"), "UTF-8"),
        (("--stop", "outputs:5", "--stop", "outputs:6"), "give one"),
        (("--labels", "nowhere.csv"), "cannot read the labels"),
        (("--override", "f" * 64), "NAME=REASON"),
        (("--override", "f" * 64 + "= "), "needs a reason"),
        (("--override", "1BoatSLRHtKNngkdXEeobR76b53LETtpyU=known"), "an override names"),
        (("--as-of", "181"), "0 to 180"),
        (("--as-of", "-1"), "0 to 180"),
        (("--as-of", "yesterday"), "yesterday"),
        (("--as-of", "9" * 5000), "--as-of"),
        (("--max-hops", "0"), "1 or more"),
        (("--max-hops", "-3"), "1 or more"),
        (("--min-amount", "0"), "1 or more"),
        (("--min-amount", "0.5"), "--min-amount"),
        (("--method", "haircut", "--segments"), "fifo"),
        (("--language", "fr"), "'en', 'es'"),
        (("--colour",), "No such option"),
        (("--json", "-", "--html", "-"), "standard output"),
        (("--json",), "argument"),
        (("another",), "no address"),
    ],
)
def test_a_wrong_option_is_refused(options: tuple[str, ...], said: str, ledger: Path) -> None:
    assert said in refused("trace", REF, "--ledger", ledger, *options)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nosuch",), "No such command"),
        (("--nosuch",), "No such option"),
        (("trace", "--ledger", "x"), "REF"),
        (("trace", REF), "--ledger"),
        (("ingest", "bitcoin", "x"), "--ledger"),
        (("ingest", "bitcoin", "--ledger", "x"), "SOURCE"),
        (("ingest", "dogecoin", "x", "--ledger", "x"), "No such command"),
        (("ledger", "info"), "DIR"),
        (("ledger", "mend", "x"), "No such command"),
        (("demo", "--language", "fr"), "'en', 'es'"),
    ],
)
def test_a_wrong_command_is_refused(arguments: tuple[str, ...], said: str) -> None:
    line = refused(*arguments)
    assert said in line
    assert "--help" in line


@pytest.mark.parametrize("option", ["--json", "--html"])
@pytest.mark.parametrize("target", ["no/such/folder/file", "folder", "file/below", ".", "/", "..", "n" * 300])
def test_a_target_that_cannot_be_written_is_refused(
    option: str, target: str, ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").write_text("mine")
    assert "write" in refused("trace", REF, "--ledger", ledger, option, target)
    assert Path("file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]
    if option == "--json":
        assert "write" in refused("ledger", "info", ledger, option, target)
        assert "write" in refused("ledger", "check", ledger, option, target)


def test_an_unwritable_target_does_not_undo_an_ingestion(tmp_path: Path) -> None:
    blocks, folder = write_blocks(tmp_path / "blocks"), tmp_path / "ledger"
    assert "write" in refused("ingest", "bitcoin", blocks, "--ledger", folder, "--json", tmp_path / "no" / "file")
    if folder.exists():  # refused before or after the work: a ledger that is there is whole
        assert info(folder)["height"] in (None, 180)
    assert succeeds("ingest", "bitcoin", blocks, "--ledger", folder)


@pytest.mark.parametrize("command", [("trace", REF, "--ledger"), ("ledger", "info"), ("ledger", "check")])
def test_what_is_no_ledger_is_refused(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("a shopping list")
    for place in ("nothing", "empty", "file", "file/below", "n" * 300):
        assert "ledger" in refused(*command, tmp_path / place)


def test_a_wrong_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "blk00000.dat").touch()
    (tmp_path / "note.txt").write_text("a shopping list")
    (tmp_path / "garbage").write_bytes(bytes(range(1, 256)) * 40)
    (tmp_path / "zeros").write_bytes(bytes(4096))
    (tmp_path / "hex").write_text("ab" * 100)
    for place in ("nothing", "empty", "blk00000.dat", "note.txt", "garbage", "zeros", "hex", "note.txt/x", "n" * 300):
        line = refused("ingest", "bitcoin", tmp_path / place, "--ledger", tmp_path / "ledger")
        assert str(tmp_path / place) in line
        assert not (tmp_path / "ledger").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--network", "mainnet"), "regtest"),
        (("--network", "litecoin"), "mainnet, testnet3"),
        (("--to-height", "-1"), "--to-height"),
        (("--memory", "0"), "--memory"),
        (("--max-reorganisation", "-1"), "--max-reorganisation"),
        (("--nosuch",), "No such option"),
    ],
)
def test_a_wrong_way_to_ingest_is_refused(options: tuple[str, ...], said: str, tmp_path: Path) -> None:
    blocks = write_blocks(tmp_path / "blocks")
    assert said in refused("ingest", "bitcoin", blocks, "--ledger", tmp_path / "ledger", *options)
    assert not (tmp_path / "ledger").exists()


def test_sources_of_two_networks_are_kept_apart(data: Path, tmp_path: Path) -> None:
    mixed = data / "bitcoin" / "blocks" / "multinet.blk"
    assert "--network" in refused("ingest", "bitcoin", mixed, "--ledger", tmp_path / "ledger", "--island")


def test_a_folder_with_other_things_is_no_place_for_a_ledger(tmp_path: Path) -> None:
    blocks = write_blocks(tmp_path / "blocks")
    assert "not empty" in refused("ingest", "bitcoin", blocks, "--ledger", blocks)
    (tmp_path / "file").write_text("mine")
    for place in ("file", "file/below"):
        assert str(tmp_path / "file") in refused("ingest", "bitcoin", blocks, "--ledger", tmp_path / place)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_ledger_of_another_network_is_left_alone(data: Path, ledger: Path) -> None:
    before = info(ledger)
    mainnet = data / "bitcoin" / "mainnet-0-4312" / "blk00000.dat"
    line = refused("ingest", "bitcoin", mainnet, "--ledger", ledger)
    assert "regtest" in line and "mainnet" in line
    assert info(ledger) == before


def test_a_ledger_of_another_chain_is_left_alone(data: Path, ledger: Path) -> None:
    """Another regtest chain has the same genesis and more blocks, but parts too far back."""
    before = info(ledger)
    other = data / "bitcoin" / "owned" / "wasabi2-regtest-10-wallets" / "blocks.dat"
    assert "another chain" in refused("ingest", "bitcoin", other, "--ledger", ledger)
    assert info(ledger) == before
    assert succeeds("ledger", "check", ledger)


def test_a_newer_format_is_refused_everywhere(copied: Path, tmp_path: Path) -> None:
    manifest = copied / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 2}))
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    blocks = write_blocks(tmp_path / "blocks")
    for command in (
        ("ledger", "info", copied),
        ("ledger", "check", copied),
        ("trace", REF, "--ledger", copied),
        ("ingest", "bitcoin", blocks, "--ledger", copied),
    ):
        assert "format 2" in refused(*command)
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before


def test_a_damaged_manifest_is_damage(copied: Path, tmp_path: Path) -> None:
    manifest = copied / "manifest.json"
    sound = manifest.read_bytes()
    blocks = write_blocks(tmp_path / "blocks")
    for spoilt in (b"", sound[:-20], b"[]", b"{}", b"\xff" + sound, sound.replace(b"regtest", b"mainnet")):
        manifest.write_bytes(spoilt)
        assert "manifest.json" in refused("ledger", "check", copied, code=1)
        for command in (
            ("ledger", "info", copied),
            ("trace", REF, "--ledger", copied),
            ("ingest", "bitcoin", blocks, "--ledger", copied),
        ):
            assert "manifest.json" in refused(*command)


def test_a_missing_column_is_damage(copied: Path) -> None:
    for path in copied.glob("coins.value.bin"):
        path.unlink()
    assert "coins.value" in refused("trace", REF, "--ledger", copied)
    assert "coins.value" in refused("ledger", "check", copied, code=1)


def test_a_demo_writes_over_nobodys_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "node" / "blocks").mkdir(parents=True)
    for place in ("file", "file/below", "node"):
        assert str(tmp_path) in refused("demo", tmp_path / place)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("arguments", [(), ("ingest",), ("ledger",)])
def test_a_command_without_a_subcommand_shows_its_help(arguments: tuple[str, ...]) -> None:
    done = run_calibar(*arguments)
    assert (done.code, done.out) == (2, b"")
    assert "Usage: calibar" in done.err
