"""`calibar trace`, as a user and a user's script see it."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest
import rfc8785
from running import refused, succeeds, theft, theft_ledger, truth

import calibar
from calibar.chains.bitcoin.script import address_of
from calibar.cli import demo_case
from calibar.sandbox.economy import NETWORK

REFS = truth().refs
POLICY = {"method", "unit", "direction", "fees", "as_of", "stops", "overrides"}


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return theft_ledger(tmp_path_factory.mktemp("trace"))


@pytest.mark.parametrize("method", ["fifo", "haircut"])
def test_json_on_standard_output_is_one_canonical_document(method: str, ledger: Path) -> None:
    done = succeeds("trace", *REFS, "--ledger", ledger, "--method", method, "--json", "-")
    assert done.out == rfc8785.dumps(done.document)
    assert done.document["policy"] == {
        "method": method,
        "unit": "coin",
        "direction": "forward",
        "fees": "stop",
        "as_of": 180,
        "stops": ["coinjoin"],
        "overrides": [],
    }
    assert done.document["rules"] == {"coinjoin": "1"}
    assert [source["coin"] for source in done.document["sources"]] == list(REFS)


def test_json_to_a_file_leaves_the_screen_for_people(ledger: Path, tmp_path: Path) -> None:
    done = succeeds("trace", *REFS, "--ledger", ledger, "--json", tmp_path / "trail.json")
    document = json.loads((tmp_path / "trail.json").read_bytes())
    assert (tmp_path / "trail.json").read_bytes() == rfc8785.dumps(document)
    screen = done.out.decode()
    for holding in document["holdings"]:
        assert holding["coin"] in screen
    for label in document["totals"]:
        assert f"{label}: " in screen
    assert (tmp_path / "trail.json").read_bytes() == succeeds("trace", *REFS, "--ledger", ledger, "--json", "-").out


def test_a_page_and_a_document_together(ledger: Path, tmp_path: Path) -> None:
    page = tmp_path / "trail.html"
    done = succeeds("trace", REFS[0], "--ledger", ledger, "--json", "-", "--html", page)
    assert done.document["digest"] in page.read_text("utf-8")
    html = succeeds("trace", REFS[0], "--ledger", ledger, "--html", "-").out.decode()
    assert html == page.read_text("utf-8")
    assert html.lower().startswith("<!doctype html>")
    assert list(tmp_path.glob("*.part")) == []


def test_spanish_where_it_is_asked_for(ledger: Path, tmp_path: Path) -> None:
    english = succeeds("trace", REFS[0], "--ledger", ledger, "--html", tmp_path / "en.html").out
    spanish = succeeds("trace", REFS[0], "--ledger", ledger, "--html", tmp_path / "es.html", "--language", "es").out
    assert english != spanish
    assert b"held" in english and b"held" not in spanish
    assert '<html lang="es"' in (tmp_path / "es.html").read_text("utf-8")


def test_every_option_is_part_of_the_policy(ledger: Path) -> None:
    options = ("--fees", "follow", "--as-of", 170, "--max-hops", 9, "--min-amount", 5000, "--stop", "none")
    policy = succeeds("trace", REFS[0], "--ledger", ledger, *options, "--json", "-").document["policy"]
    assert policy.keys() == POLICY
    assert (policy["fees"], policy["as_of"], policy["stops"]) == ("follow", 170, ["min-amount:5000", "hops:9"])


def test_rules_by_name_take_the_place_of_the_usual_ones(ledger: Path) -> None:
    none = succeeds("trace", REFS[0], "--ledger", ledger, "--stop", "none", "--json", "-").document
    assert (none["policy"]["stops"], none["rules"]) == ([], {})
    usual = succeeds("trace", REFS[0], "--ledger", ledger, "--json", "-").document
    again = succeeds("trace", REFS[0], "--ledger", ledger, "--stop", "coinjoin", "--json", "-").document
    assert usual == again
    assert usual["holdings"] == none["holdings"]
    split = [len(step["outputs"]) for step in usual["steps"]].index(2)
    few = succeeds("trace", REFS[0], "--ledger", ledger, "--stop", "outputs:1", "--json", "-").document
    assert few["policy"]["stops"] == ["outputs:1"]
    assert few["steps"] == usual["steps"][:split]
    assert {row["reason"] for row in few["holdings"]} == {"outputs"}
    name = usual["steps"][split]["txid"]
    past = (f"--override={name}=the bank knows both outputs", "--stop", "outputs:1")
    more = succeeds("trace", REFS[0], "--ledger", ledger, *past, "--json", "-").document
    assert more["steps"][: split + 1] == usual["steps"][: split + 1]
    assert more["policy"]["overrides"] == [{"past": name, "reason": "the bank knows both outputs"}]


def test_segments_say_the_order_inside_each_coin(ledger: Path) -> None:
    document = succeeds("trace", *REFS, "--ledger", ledger, "--segments", "--json", "-").document
    assert document["policy"]["segments"] is True
    for holding in document["holdings"]:
        assert sum(amount for _, amount in holding["segments"]) == holding["value"]
        for label, amount in holding["traced"].items():
            assert sum(part for name, part in holding["segments"] if name == label) == amount
    plain = succeeds("trace", *REFS, "--ledger", ledger, "--json", "-").document
    assert [{**h, "segments": None} for h in plain["holdings"]] == [
        {**h, "segments": None} for h in document["holdings"]
    ]


def test_a_coin_a_transaction_and_an_address_name_the_same(ledger: Path) -> None:
    # A victim's wallet was sent whole to a new address of the collector: one coin, one transaction, one address.
    coin = REFS[0]
    block = theft().economy.blocks[truth().stolen[0].height]
    script = next(tx for tx in block.transactions if tx.txid == coin[:64]).outputs[0].script
    documents = [
        succeeds("trace", ref, "--ledger", ledger, "--json", "-").document
        for ref in (coin, coin[:64], address_of(script, NETWORK), coin[:64].upper() + ":0", f"{coin[:64]}:00")
    ]
    assert all(document == documents[0] for document in documents)


def test_a_pipe_is_written_to_and_not_replaced(ledger: Path, tmp_path: Path) -> None:
    """As with `--json >(jq .)` or `--json /dev/stdout`; to replace a device would harm the machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    succeeds("trace", REFS[0], "--ledger", ledger, "--json", pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    reader.join(10)
    assert json.loads(read[0])["totals"]


def test_a_link_is_written_through(ledger: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "there" / "trail.json")
    succeeds("trace", REFS[0], "--ledger", ledger, "--json", link)
    assert link.is_symlink()
    assert json.loads((tmp_path / "there" / "trail.json").read_bytes())["totals"]


@pytest.fixture(scope="module")
def whole_case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "case"
    demo_case.write(folder)
    return folder


def test_through_records_as_from_python(whole_case: Path, tmp_path: Path) -> None:
    case, ledger = whole_case / "documents", whole_case / "ledger"
    page = tmp_path / "trail.html"
    reference = "record:victims.csv:7"
    done = succeeds(
        "trace", reference, "--records", case, "--ledger", ledger, "--json", "-", "--html", page, "--language", "es"
    )
    trail = calibar.trace(reference, records=case, ledgers=[ledger], method="fifo")
    assert done.out == trail.json() == rfc8785.dumps(done.document)
    assert page.read_text("utf-8") == trail.html("es")
    screen = succeeds("trace", reference, "--records", case, "--ledger", ledger).out.decode()
    assert "held: in the account" in screen
    assert "370,000,000.00 in" in screen
    alone = succeeds("trace", reference, "--records", case, "--method", "libr", "--json", "-").document
    assert alone["ledgers"] == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--ledger", "LEDGER", "--token", "USDT"), "NAME=CONTRACT"),
        (("--ledger", "LEDGER", "--source", "electrum://127.0.0.1:1"), "fetches nothing"),
        (("--ledger", "LEDGER", "--method", "libr"), "has no meaning on all of these ledgers"),
        (("--ledger", "LEDGER", "--ledger", "nowhere"), "no ledger in nowhere"),
        (("--unit", "coin"), "leave the unit out"),
        (("--min-amount", "5"), "no limits of hops, amounts or height yet"),
    ],
)
def test_wrong_questions_through_records(whole_case: Path, more: tuple[str, ...], said: str) -> None:
    options = [str(whole_case / "ledger") if option == "LEDGER" else option for option in more]
    assert said in refused("trace", "record:victims.csv:7", "--records", whole_case / "documents", *options)


def test_several_ledgers_go_with_records_alone(ledger: Path) -> None:
    assert "with --records" in refused("trace", REFS[0], "--ledger", ledger, "--ledger", ledger)
    assert "with --records" in refused("trace", REFS[0], "--ledger", ledger, "--token", "USDT=0x1")
