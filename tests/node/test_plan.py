"""A trail over an air gap: questions out, answers in, and the same trail as with the network at hand."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from commands import run_calibar

import calibar
from calibar.chains.bitcoin.sources.told import PlaceQuestion, SpenderQuestion, TipQuestion
from calibar.errors import DamageError, DecodeError, UsageError
from calibar.ledger.case.case import Case
from calibar.trail.cases import gather
from calibar.trail.plans.answers import run_plan, take
from calibar.trail.plans.plan import Plan, read_plan
from calibar.trail.plans.upcoming import next_plan
from calibar.trail.policy import Policy

if TYPE_CHECKING:
    from chains import Stolen

pytest_plugins = ("chains",)

NETWORK = "litecoin-regtest"


def written(folder: Path, *references: str, **options: Any) -> Plan:
    with Case.for_fetching(folder, NETWORK) as case:
        return next_plan(case, references, Policy(), **options)


def rounds(stolen: Stolen, folder: Path, *references: str, source: str = "") -> int:
    """Go back and forth until nothing is left; how often that was."""
    for number in range(100):
        plan = written(folder, *references)
        if not plan.questions:
            return number
        (folder / "plan.json").write_bytes(plan.json())
        responses = folder.parent / "responses"
        list(run_plan(read_plan(folder / "plan.json"), source or stolen.chain.electrum_url, responses))
        assert take(folder, responses).lies == []
    raise AssertionError("it does not end")


def test_rounds_end_with_the_trail_that_a_fetch_gives(stolen: Stolen, tmp_path: Path) -> None:
    reference = stolen.known.stolen.ref
    rounds(stolen, tmp_path / "case", reference)
    gather(tmp_path / "online", [reference], [stolen.chain.electrum_url], network_name=NETWORK, policy=Policy())
    here, online = (calibar.open(tmp_path / name).trace(reference) for name in ("case", "online"))
    assert here.steps == online.steps
    assert here.holdings == online.holdings
    assert {step["proof"] for step in here.steps} == {"proven"}


def test_an_address_comes_whole(stolen: Stolen, tmp_path: Path) -> None:
    service = stolen.known.service
    rounds(stolen, tmp_path / "case", service)
    trail = calibar.open(tmp_path / "case").trace(service)
    assert trail.document["ledger"]["histories"] == {service: True}


def test_two_servers_may_answer_in_turn(stolen: Stolen, tmp_path: Path) -> None:
    """Words of a server of which nobody knows the last block are dated by asking for that."""
    reference = stolen.known.merged.ref
    folder = tmp_path / "case"
    for _ in range(3):
        plan = written(folder, reference)
        list(run_plan(plan, stolen.chain.electrum_url, tmp_path / "r"))
        take(folder, tmp_path / "r")
    other = stolen.chain.electrum_url.replace("127.0.0.1", "localhost")
    rounds(stolen, folder, reference, source=other)
    assert calibar.open(folder).trace(reference).holdings[0]["state"] == "held"


def test_only_newest_asks_for_later_blocks(stolen: Stolen, tmp_path: Path) -> None:
    reference = stolen.known.merged.ref
    rounds(stolen, tmp_path / "case", reference)
    assert written(tmp_path / "case", reference).questions == ()
    assert written(tmp_path / "case", reference, newest=True).questions == (TipQuestion(),)


def test_a_plan_holds_questions_and_nothing_of_the_case(stolen: Stolen, tmp_path: Path) -> None:
    with Case.for_fetching(tmp_path / "secret-case", NETWORK) as case:
        plan = next_plan(case, [f"{stolen.known.stolen.ref}=12345"], Policy())
    text = plan.json().decode()
    assert set(json.loads(text)) == {"format", "network", "questions"}
    for secret in ("secret-case", "12345", str(tmp_path)):
        assert secret not in text
    (tmp_path / "plan").write_text(text)
    assert read_plan(tmp_path / "plan") == plan


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"format": 2}, "another format"),
        ({"network": "bitcoin"}, "no Bitcoin network"),
        ({"questions": {}}, "not a list"),
        ({"questions": [{"ask": "Exchange"}]}, "question 1 is none that is known"),
        ({"questions": [{"ask": "TipQuestion", "more": 1}]}, "question 1 is none that is known"),
        ({"questions": [{"ask": "TipQuestion"}, {"ask": "RawQuestion", "txid": "ab"}]}, "txid of question 2"),
        ({"questions": [{"ask": "HeadersQuestion", "first": -1, "count": 5}]}, "first of question 1"),
        ({"questions": [{"ask": "SpenderQuestion", "coin": "ab:1", "script": ""}]}, "coin of question 1"),
        ({"questions": [{"ask": "TipQuestion"}] * 100_001}, "over 100000"),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    document = {"format": 1, "network": NETWORK, "questions": []} | change
    (tmp_path / "plan").write_text(json.dumps(document))
    with pytest.raises(DecodeError, match=named):
        read_plan(tmp_path / "plan")


def line(**change: Any) -> bytes:
    text = str(change.pop("text", "{}"))
    row = {
        "kind": "electrum", "place": "tcp://127.0.0.1:1", "time": 1, "request": "{}",
        "sha256": hashlib.sha256(text.encode()).hexdigest(), "text": text,
    }  # fmt: skip
    return json.dumps({key: value for key, value in (row | change).items() if value is not None}).encode() + b"\n"


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"\xff\n", "line 2 "),
        (b"[]\n", "line 2 "),
        (b"[" * 100_000 + b"\n", "line 2 "),
        (line()[:-1], "line 2 is cut off"),
        (line(sha256="00" * 32), "line 2 is not what it was"),
        (line(kind="os"), "line 2 is of the unknown kind 'os'"),
        (line(kind="told"), "unknown kind"),
        (line(time=-1), "its time"),
        (line(time=1e400), "line 2 "),
        (line(time="now"), "its time"),
        (line(place="a\nb"), "names no server"),
        (line(place="a" * 301), "line 2 "),
        (line(request=None), "line 2 is no exchange"),
        (line(more=1), "line 2 is no exchange"),
        (line().replace(b', "text": "{}"', b""), "line 2 is no exchange"),
        (line().replace(b'"text": "{}"', b'"base64": "!"'), "line 2 is no exchange"),
        (line(text="a" * 2000), "line 2 is longer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_damage_is_named_by_its_line_and_nothing_is_taken(
    stolen: Stolen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, named: str
) -> None:
    monkeypatch.setattr("calibar.trail.plans.answers.LARGEST_LINE", 1000 if "longer" in named else 1 << 20)
    written(tmp_path / "case", stolen.known.stolen.ref)
    (tmp_path / "r").write_bytes(line() + data)
    with pytest.raises(DamageError, match=named):
        take(tmp_path / "case", tmp_path / "r")
    assert (tmp_path / "case" / "responses.jsonl").read_bytes() == b""


def test_a_lie_from_elsewhere_gets_in_nowhere_and_is_named(stolen: Stolen, tmp_path: Path) -> None:
    reference, folder = stolen.known.stolen.ref, tmp_path / "case"
    list(run_plan(written(folder, reference), stolen.chain.electrum_url, tmp_path / "r"))
    rows = [json.loads(row) for row in (tmp_path / "r").read_text().splitlines()]
    for row in rows:
        if "headers.subscribe" in row["request"]:
            row["text"] = '{"height": -1, "hex": ""}'
        row["sha256"] = hashlib.sha256(row["text"].encode()).hexdigest()
    rows.append(
        rows[0]
        | {"text": None, "base64": base64.b64encode(b"\xff").decode(), "sha256": hashlib.sha256(b"\xff").hexdigest()}
    )
    (tmp_path / "r").write_text(
        "".join(json.dumps({k: v for k, v in row.items() if v is not None}) + "\n" for row in rows)
    )
    taken = take(folder, tmp_path / "r")
    assert [number for number, _, _ in taken.lies] == [1, len(rows)]
    assert Case(folder).coins.tips == {}
    assert len(Case(folder).lies) == 2
    rounds(stolen, folder, reference)


def test_answers_keep_their_time_and_servers_are_noted(stolen: Stolen, tmp_path: Path) -> None:
    written(tmp_path / "case", stolen.known.stolen.ref)
    (tmp_path / "r").write_bytes(
        line(
            text='{"error": "no"}',
            time=1234,
            place="ssl://a.example:50002",
            request='{"method":"blockchain.headers.subscribe","params":[]}',
        )
    )
    assert take(tmp_path / "case", tmp_path / "r").refused == 1
    assert json.loads((tmp_path / "case" / "responses.jsonl").read_text())["time"] == 1234
    assert Case(tmp_path / "case").settings.disclosed == {"ssl://a.example:50002": 1234}


def test_what_was_answered_before_a_failure_is_written(stolen: Stolen, tmp_path: Path) -> None:
    coin = stolen.known.stolen
    questions = (TipQuestion(), PlaceQuestion(bytes(32), 10**9), SpenderQuestion(_point(coin.ref), b"\x51"))
    answers = list(run_plan(Plan(NETWORK, questions), stolen.chain.electrum_url, tmp_path / "r"))
    assert len(answers) == 3
    with pytest.raises(UsageError):
        list(run_plan(Plan(NETWORK, questions), "tcp://127.0.0.1:1", tmp_path / "none"))
    with pytest.raises(UsageError, match="make it first"):
        list(run_plan(Plan(NETWORK, questions), stolen.chain.electrum_url, tmp_path / "no" / "r"))


def _point(name: str) -> Any:
    from calibar.chains.bitcoin.sources.told import Outpoint  # noqa: PLC0415

    return Outpoint(bytes.fromhex(name[:64])[::-1], int(name[65:]))


def test_the_commands_go_round(stolen: Stolen, tmp_path: Path) -> None:
    reference = stolen.known.merged.ref
    case, plan, responses = tmp_path / "case", tmp_path / "plan.json", tmp_path / "responses.jsonl"
    for _ in range(20):
        done = run_calibar("plan", "write", reference, "--ledger", case, "--to", plan, "--network", NETWORK)
        assert done.code == 0
        if done.out.startswith(b"nothing is left to ask"):
            break
        assert b"questions in" in done.out
        assert run_calibar("plan", "run", plan, "--source", stolen.chain.electrum_url, "--to", responses).code == 0
        taken = run_calibar("plan", "take", responses, "--ledger", case, "--json", "-")
        assert json.loads(taken.out)["lies"] == []
    assert calibar.open(case).trace(reference).holdings[0]["coin"] == reference
    assert run_calibar("plan", "write", "ab:1", "--ledger", case, "--to", plan).code == 2
    assert run_calibar("plan", "run", responses, "--source", stolen.chain.electrum_url, "--to", plan).code == 2
    assert run_calibar("plan", "take", plan, "--ledger", case).code == 2
    assert run_calibar("plan", "take", plan, "--ledger", tmp_path / "no").code == 2
