"""The page of an account chain's trail: complete in two languages, closed to every network, safe, and it re-adds."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from hashlib import sha256
from pathlib import Path
from string import Formatter
from typing import Any

import browser
import pytest
from pages import (
    HOSTILE,
    Page,
    assert_allows_its_own_parts_alone,
    assert_calls_nobody,
    assert_hostile_texts_are_texts,
    assert_hostile_texts_do_nothing,
    assert_same_in_every_process,
    assert_says_everything_twice,
)
from stolen_tokens import refs

import calibar
from calibar.errors import BalanceError, UsageError
from calibar.sandbox.scenarios.token_theft import labels
from calibar.trail.accounts import words
from calibar.trail.accounts.lanes import COLUMNS, LANES, STEPS
from calibar.trail.accounts.page import HOLDINGS, render
from calibar.trail.accounts.picture import Picture, picture

DOLLAR, ETHER = "0x" + "Da" * 20, "0x" + "eE" * 20
HERE = Path(words.__file__).parent
PARTS = ("held", "stopped", "fees", "burnt", "converted_out")


def account(of: object) -> str:
    return "0x" + sha256(f"account {of}".encode()).hexdigest()[:40]


class Made:
    """A trail in the making: what an account pays is what it has, so that every sum is right by construction."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []
        self.sources: list[dict[str, Any]] = []
        self.holds: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        self.sums: dict[tuple[str, str], dict[str, int]] = defaultdict(
            lambda: dict.fromkeys(("in", "converted_in", *PARTS), 0)
        )
        self.marks: dict[tuple[str, str], dict[str, Any]] = {}

    def source(self, to: object, amount: int, asset: str = DOLLAR) -> str:
        label, payee = f"S{len(self.sources)}", account(to)
        name = f"0x{sha256(label.encode()).hexdigest()}:1"
        row = {"label": label, "transfer": name, "asset": asset, "amount": str(amount), "account": payee}
        self.sources.append(row)
        self.holds[asset, payee][label] += amount
        self.sums[label, asset]["in"] += amount
        return label

    def take(self, asset: str, who: str, amount: int) -> dict[str, int]:
        drawn: dict[str, int] = {}
        for label, has in self.holds[asset, who].items():
            part = min(has, amount - sum(drawn.values()))
            if part:
                drawn[label] = part
                self.holds[asset, who][label] -= part
        assert sum(drawn.values()) == amount
        return drawn

    def step(self, asset: str, sides: tuple[str | None, str | None], kind: str, came: Any, went: Any, tx: int) -> None:
        txid = "0x" + sha256(f"tx {tx}".encode()).hexdigest()
        amount = sum((went or came).values())
        text = [{label: str(part) for label, part in side.items()} for side in (went, came)]
        self.steps.append(
            {
                "transfer": f"{txid}:{len(self.steps)}",
                "txid": txid,
                "height": 100 + tx,
                "time": 1_700_000_000 + 12 * tx,
                "hop": 1,
                "proof": "reported" if len(self.steps) % 7 == 4 else "proven",
                "kind": kind,
                "asset": asset,
                "inputs": [{"account": sides[0], "value": str(amount), "traced": text[0]}],
                "outputs": [{"account": sides[1], "value": str(amount), "traced": text[1]}],
            }
        )

    def pay(self, sender: object, recipient: object, amount: int, asset: str = DOLLAR) -> None:
        drawn = self.take(asset, account(sender), amount)
        for label, part in drawn.items():
            self.holds[asset, account(recipient)][label] += part
        self.step(asset, (account(sender), account(recipient)), "transfer", drawn, drawn, len(self.steps))

    def lose(self, sender: object, amount: int, kind: str, asset: str = DOLLAR) -> None:
        drawn = self.take(asset, account(sender), amount)
        for label, part in drawn.items():
            self.sums[label, asset]["fees" if kind == "fee" else "burnt"] += part
        self.step(asset, (account(sender), None), kind, {}, drawn, len(self.steps))

    def convert(self, who: object, amount: int, rate: int, assets: tuple[str, str] = (DOLLAR, ETHER)) -> None:
        drawn = self.take(assets[0], account(who), amount)
        came = {label: part * rate for label, part in drawn.items()}
        for label, part in drawn.items():
            self.sums[label, assets[0]]["converted_out"] += part
            self.sums[label, assets[1]]["converted_in"] += part * rate
            self.holds[assets[1], account(who)][label] += part * rate
        tx = len(self.steps)
        self.step(assets[0], (account(who), account("pool")), "converted", {}, drawn, tx)
        self.step(assets[1], (account("pool"), account(who)), "received", came, {}, tx)

    def deposit(self, who: object, asset: str = DOLLAR) -> None:
        says = {"rule": "deposit", "says": "deposit address of one customer", "hot_wallet": account("hot")}
        self.marks[asset, account(who)] = {"state": "stopped", "reason": "deposit", "inferred": says}

    def freeze(self, who: object, asset: str = DOLLAR) -> None:
        self.marks[asset, account(who)] = {"frozen": "by the issuer"}

    def trail(self) -> dict[str, Any]:
        holdings = []
        for (asset, who), held in sorted(self.holds.items()):
            if traced := {label: part for label, part in held.items() if part}:
                row = {"account": who, "asset": asset, "value": str(sum(traced.values())), "state": "held"}
                row |= {"reason": "unspent", **self.marks.get((asset, who), {})}
                for label, part in traced.items():
                    self.sums[label, asset][row["state"]] += part
                holdings.append(row | {"traced": {label: str(part) for label, part in traced.items()}})
        totals: dict[str, Any] = defaultdict(dict)
        for (label, asset), sums in self.sums.items():
            totals[label][asset] = {part: str(amount) for part, amount in sums.items()}
        policy = {"method": "fifo", "unit": "address", "direction": "forward", "fees": "stop", "as_of": None}
        says = {"name": "Dollar", "symbol": "USDX", "decimals": 6}
        return {
            "definition": 1,
            "ledger": {"network": "ethereum:1", "height": 999, "tip": "0x" + "ab" * 32},
            "labels_digest": None,
            "entities_digest": None,
            "rules": {"conversion": "1", "deposit": "1"},
            "policy": policy | {"stops": ["deposit", "min-amount:5"], "overrides": []},
            "assets": {DOLLAR: says, ETHER: {"name": "Wrapped", "symbol": "WETH", "decimals": 18}},
            "sources": self.sources,
            "steps": self.steps,
            "holdings": holdings,
            "totals": dict(totals),
            "calibar": "0.1.0",
            "digest": "cd" * 32,
        }


def story() -> dict[str, Any]:
    """Two thefts, a pool, a swap there and back, a freeze, a destruction, a fee, a deposit address."""
    made = Made()
    made.source("thief", 90_000_000_000)
    made.source("helper", 10_000_000_001)
    made.pay("thief", "helper", 30_000_000_000)
    made.pay("thief", "mule", 40_000_000_000)
    made.convert("mule", 25_000_000_000, 400_000_000)
    made.pay("mule", "friend", 10**19, ETHER)
    made.lose("friend", 21_000, "fee", ETHER)
    made.lose("mule", 9_000_000_000, "burnt by issuer")
    made.lose("mule", 1_000, "burnt")
    made.pay("helper", "exchange", 35_000_000_000)
    made.deposit("exchange")
    made.freeze("thief")
    return made.trail()


def long(steps: int = 900, seed: int = 3) -> dict[str, Any]:
    """Many accounts that pay each other to and fro."""
    rng = random.Random(seed)  # noqa: S311 - made-up amounts
    made = Made()
    for n in range(11):
        made.source(n, rng.randint(1, 10) ** 3 * 1_000_000)
    while len(made.steps) < steps:
        open_ = [(asset, who) for (asset, who), held in made.holds.items() if sum(held.values()) > 10]
        asset, who = rng.choice(open_)
        amount = rng.randint(1, sum(made.holds[asset, who].values()))
        name = next(name for name in (*range(400), "fresh") if account(name) == who)
        if asset == DOLLAR and rng.random() < 0.03:
            made.convert(name, amount, 7)
        else:
            made.pay(name, rng.randrange(400), amount, asset)
    return made.trail()


def drawn(trail: dict[str, Any], kind: str) -> int:
    """Base units of all bands of a kind."""
    return sum(ribbon.amount for ribbon in picture(trail).ribbons if ribbon.kind == kind)


@pytest.mark.parametrize("make", [story, long])
def test_the_page_is_well_formed_and_calls_nobody(make: Any) -> None:
    assert_calls_nobody(render(make(), {account("mule"): "somebody\na witness, exhibit 4"}))


def test_its_content_policy_allows_its_own_style_and_script_and_nothing_else() -> None:
    assert_allows_its_own_parts_alone(render(story()))


def test_the_page_says_all_of_the_trail() -> None:
    trail = story()
    said = Page(render(trail)).says("en")
    squeezed = said.replace(" ", "")
    for row in (*trail["sources"], *trail["holdings"]):
        assert row["account"] in squeezed
    for step in trail["steps"]:
        assert step["transfer"] in squeezed
    for asset in (DOLLAR, ETHER, trail["ledger"]["tip"], trail["digest"], account("hot")):
        assert asset in said.replace(" ", "")
    assert "Trail of 100,000.000001 “USDX”" in said
    for text in ("as its contract says of itself", "frozen by the issuer", "destroyed by the issuer", "2023-11-14"):
        assert text in said
    assert "accounts that receive less than 5 traced base units" in said


@pytest.mark.parametrize("make", [story, long])
def test_the_sums_on_the_page_readd(make: Any) -> None:
    text = render(make())
    tables = re.findall(
        r'<table class="rests.*?</table>\s*</div>\s*<div class="wide">\s*(.*?)</table>', text, re.DOTALL
    )
    assert len(tables) == 2
    for table in tables:
        rows = re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)[1:]
        for row in rows:
            left, right = row.split('<td class="sign">=</td>')
            amounts = [[int(value) for value in re.findall(r'<data value="(\d+)"', side)] for side in (left, right)]
            assert sum(amounts[0]) == sum(amounts[1]) > 0
            assert len(amounts[1]) == len(PARTS)


@pytest.mark.parametrize("make", [story, long])
def test_the_holdings_of_each_asset_readd_to_its_total_and_their_shares_to_a_hundred(make: Any) -> None:
    bodies = re.findall(r'<table class="rests.*?<tbody>(.*?)</tbody>\s*<tfoot>(.*?)</tfoot>', render(make()), re.DOTALL)
    assert len(bodies) == 2
    for body, foot in bodies:
        amounts = re.findall(r'<td class="number strong"><data value="(\d+)"', body)
        (whole,) = re.findall(r'<td class="number strong"><data value="(\d+)"', foot)
        assert sum(map(int, amounts)) == int(whole)
        shares = re.findall(r'<td class="number">(\d+)\.(\d\d)</td>', body)
        assert sum(int(a + b) for a, b in shares) == 10_000
        assert len(amounts) <= HOLDINGS + 4


@pytest.mark.parametrize("make", [story, long])
def test_the_picture_carries_all_that_the_sources_brought_to_where_it_rests(make: Any) -> None:
    trail = make()
    sums = [parts for assets in trail["totals"].values() for parts in assets.values()]

    def whole(*parts: str) -> int:
        return sum(int(row[part]) for row in sums for part in parts)

    assert drawn(trail, "source") == whole("in")
    assert drawn(trail, "end") == whole("held", "stopped")
    assert drawn(trail, "burn") == whole("burnt")
    assert drawn(trail, "take") == whole("converted_in")
    assert drawn(trail, "give") == whole("converted_out")


def inside(drawing: Picture) -> None:
    """Everything stands inside the picture, and each panel below the last."""
    for node in drawing.nodes:
        assert 0 <= node.x <= node.x + node.width <= drawing.width
        assert 0 <= node.y <= node.y + node.height <= drawing.height
    low = 0.0
    for panel in drawing.panels:
        assert panel.y >= low
        low = panel.y + panel.height
    for ribbon in drawing.ribbons:
        assert ribbon.start < len(drawing.nodes) > ribbon.end


def test_a_short_trail_is_drawn_step_by_step() -> None:
    trail = story()
    drawing = picture(trail)
    inside(drawing)
    assert not drawing.summed
    moved = {step for ribbon in drawing.ribbons for step in ribbon.steps}
    assert {n for n, step in enumerate(trail["steps"]) if step["kind"] != "fee"} == moved
    assert len(drawing.leaks) == 1
    lanes = [node for node in drawing.nodes if node.kind == "lane"]
    spans = [(node.y, node.y + node.height) for node in lanes if node.x == lanes[0].x]
    assert all(a[1] <= b[0] or b[1] <= a[0] for a in spans for b in spans if a != b)


def test_a_bar_stands_at_the_first_receipt_and_bands_run_forward_in_time() -> None:
    drawing = picture(story())
    x = {node.members: node.x for node in drawing.nodes if node.kind == "lane" and node.asset == DOLLAR}
    assert x[account("thief"),] < x[account("mule"),] < x[account("exchange"),]
    for ribbon in drawing.ribbons:
        places = [float(text) for text in re.findall(r"^M([\d.]+) ", ribbon.path)]
        assert places


def test_a_long_trail_is_summed_and_says_so() -> None:
    trail = long()
    assert len(trail["steps"]) > STEPS
    drawing = picture(trail)
    inside(drawing)
    assert drawing.summed
    assert sum(node.kind == "lane" for node in drawing.nodes) <= LANES + 2
    assert len(drawing.dates) <= COLUMNS + 1
    assert len(drawing.nodes) + len(drawing.ribbons) < 1500
    page = Page(render(trail))
    assert f"This trail has {len(trail['steps'])} steps" in page.says("en")
    assert "steps are in the trail's JSON document" in page.says("en")


def test_facts_inferences_and_attributions_look_different() -> None:
    text = render(story(), {account("mule"): "the mule\nexhibit 7"})
    assert '<span class="mark proven">' in text
    assert '<span class="mark reported">' in text
    assert 'class="proof proven"' in text
    assert 'class="proof reported"' in text
    assert re.search(r'<em class="inferred">.{0,60}converted', text)
    assert re.search(r'<em class="inferred">.{0,40}deposit address of one customer', text)
    assert re.search(r'<path class="r k\d give inferred"', text)
    assert re.search(r'<path class="r k\d move"', text)
    assert '<g class="n conversion ' in text
    assert '<g class="n burn ' in text
    assert '<g class="n hot ' in text
    assert re.search(r'<g class="n lane  deposit"', text)
    assert re.search(r'<g class="n end held frozen"', text)
    assert '<q class="said" title="exhibit 7"><bdi>the mule</bdi></q>' in text
    assert f'<q class="said" title="{DOLLAR}"><bdi>USDX</bdi></q>' in text


def test_names_match_hexadecimal_addresses_whatever_their_case() -> None:
    mixed = "0x" + account("mule")[2:].upper()
    assert "the mule" in Page(render(story(), {mixed: "the mule"})).says("en")


def test_a_token_without_decimals_or_symbol_is_shown_by_its_contract_and_base_units() -> None:
    trail = story()
    trail["assets"] = {ETHER: {"symbol": None, "decimals": "many"}}
    said = Page(render(trail)).says("en")
    assert "100,000,000,001" in said
    assert "USDX" not in said
    assert DOLLAR in said


def test_each_language_says_everything() -> None:
    assert_says_everything_twice(render(story()))
    assert '<html lang="es">' in render(story(), language="es")
    with pytest.raises(UsageError, match="use en or es"):
        render(story(), language="fr")


def test_english_and_spanish_sentences_have_the_same_blanks() -> None:
    for key, texts in words.PAGE.items():
        assert all(text.strip() for text in texts)
        blanks = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in texts]
        assert blanks[0] == blanks[1], key


def test_no_sentence_is_left_over() -> None:
    files = [HERE / "page.py", HERE / "captions.py", *(HERE.parent / "templates").glob("account.*")]
    text = "".join(path.read_text("utf-8") for path in files)
    called = set(re.findall(r'(?:tell|many)\("([^"]+)"', text))
    families = {"fees", "stops"}
    other = {f"{part}_long" for part in ("in", "converted_in", *PARTS)}
    other |= {f"{method}{more}" for method in ("fifo", "lifo", "haircut", "libr") for more in ("", "_long")}
    assert [k for k in words.PAGE if k not in called | other and k.rpartition(".")[0] not in called | families] == []


@pytest.mark.parametrize("method", ["fifo", "lifo", "haircut", "libr"])
def test_each_method_is_explained(method: str) -> None:
    trail = story()
    trail["policy"]["method"] = method
    page = Page(render(trail))
    for n, code in enumerate(("en", "es")):
        assert words.PAGE[f"{method}_long"][n].removesuffix(" {rule}") in page.says(code)
        assert "{rule}" not in page.says(code)


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [
        (95_200_000_000, 6, "95,200"),
        (11_039_330_515, 6, "11,039.33…"),
        (6_288709403483610424, 18, "6.288709…"),
        (1_234_500, 18, "0.000000000001…"),
        (45, 6, "0.000045"),
        (7, 0, "7"),
        (1_000_000, None, "1,000,000"),
        (0, 18, "0"),
    ],
)
def test_an_amount_in_the_picture_says_when_it_is_cut(amount: int, decimals: int | None, text: str) -> None:
    assert words.brief(amount, decimals) == text


def test_a_link_is_shown_as_the_analysts_word() -> None:
    trail = story()
    for n in (2, 3):
        trail["steps"][n]["by"] = {"link": 0}
    trail["steps"][3] |= {"txid": "0x" + "99" * 32, "height": 103}
    trail["links"] = [
        {"given": trail["steps"][2]["transfer"], "received": trail["steps"][3]["transfer"], "reason": HOSTILE}
        | {"exhibit": "answer.pdf", "exhibit_sha256": "ef" * 32}
    ]
    text = render(trail)
    assert '<g class="n conversion  asserted"' in text
    assert re.search(r'<path class="r k\d give asserted"', text)
    said = Page(text).says("en")
    assert "asserted by the analyst" in said
    assert "answer.pdf" in said
    assert "ef" * 32 in said.replace(" ", "")
    assert text.count("made to look like") == 0
    assert sum(node.kind == "conversion" for node in picture(trail).nodes) == 1


def test_a_look_alike_address_is_shown_as_an_inference() -> None:
    trail = story()
    trail["steps"][0]["flags"] = [{"rule": "look-alike", "resembles": HOSTILE}]
    page = Page(render(trail))
    assert "made to look like" in page.says("en")
    assert "hecha para parecerse a" in page.says("es")


def hostile(trail: dict[str, Any]) -> dict[str, Any]:
    """Put the hostile text wherever a trail has text that does not tie its parts together."""
    for row in trail["holdings"]:
        row |= {"account": HOSTILE, "reason": HOSTILE, "frozen": HOSTILE}
        row["inferred"] = {"rule": HOSTILE, "says": HOSTILE, "hot_wallet": HOSTILE}
    for step in trail["steps"]:
        step |= {"transfer": HOSTILE, "proof": HOSTILE, "stop": HOSTILE, "height": HOSTILE, "time": HOSTILE}
        if step["kind"] == "transfer":
            step["kind"] = HOSTILE
        for side in (*step["inputs"], *step["outputs"]):
            side["account"] = HOSTILE if side["account"] is not None else None
    for source in trail["sources"]:
        source |= {"transfer": HOSTILE, "account": HOSTILE}
    for said in trail["assets"].values():
        said |= {"symbol": HOSTILE, "name": HOSTILE}
    trail["ledger"] |= {"network": HOSTILE, "tip": HOSTILE + "\ud800", "height": HOSTILE}
    trail["policy"] |= {"stops": [HOSTILE], "overrides": [{"why": HOSTILE}], "method": HOSTILE, "fees": HOSTILE}
    return trail | {"digest": HOSTILE, "calibar": HOSTILE, "rules": {HOSTILE: HOSTILE}, "labels_digest": HOSTILE}


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    text = render(hostile(story()), {HOSTILE: HOSTILE + "\n" + HOSTILE})
    assert_hostile_texts_are_texts(text)
    assert_hostile_texts_do_nothing(text, tmp_path)


@pytest.mark.parametrize("amount", ["-1", "1.5", "9" * 5000, None, "x"])
def test_an_amount_that_is_none_is_refused_in_one_line(amount: object) -> None:
    trail = story()
    trail["sources"][0]["amount"] = amount
    with pytest.raises(UsageError) as refused:
        render(trail)
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize("part", ["in", "held", "stopped", "burnt"])
def test_a_trail_that_does_not_readd_has_no_page(part: str) -> None:
    trail = story()
    sums = trail["totals"]["S0"][DOLLAR]
    sums[part] = str(int(sums[part]) + 1)
    with pytest.raises(BalanceError):
        render(trail)


def test_a_backward_trail_has_no_page() -> None:
    trail = story()
    del trail["holdings"]
    with pytest.raises(UsageError, match="forward"):
        render(trail)


def test_the_same_trail_gives_the_same_page_in_every_process() -> None:
    assert_same_in_every_process("import test_account_page as t", "t.render(t.long(150))")


def test_a_recorded_theft_has_its_page_in_a_real_browser(token_theft: Path, tmp_path: Path) -> None:
    trail = calibar.open(token_theft).trace(*refs(), method="fifo")
    path = tmp_path / "trail.html"
    path.write_text(trail.html("es", labels()), "utf-8")
    document, console = browser.browse(path, tmp_path / "profile", fragment="#en")
    assert console == ""
    assert '<html lang="en">' in document
    assert "Trail of 107,680.55 “USDX”</title>" in document
    said = Page(document).says("en")
    for role in ("thief wallet 1", "mule 4", "cold wallet", "exchange 2 hot wallet", "contract: pool"):
        assert role in said
    assert "27,039.330515" in said
    assert trail.digest in said


def test_a_band_lights_up_in_a_real_browser(tmp_path: Path) -> None:
    act = """<script>
      document.getElementById("switch").click();
      const first = document.querySelector(".n");
      first.focus();
      first.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
    </script></body>"""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy".*?>', "", render(story()))
    path = tmp_path / "trail.html"
    path.write_text(text.replace("</body>", act), "utf-8")
    document, console = browser.browse(path, tmp_path / "profile")
    assert console == ""
    assert re.search(r'<svg id="picture"[^>]* class="lit"', document)
    assert re.search(r'class="r k0 move on"', document)
    assert re.search(r'id="readout" class="note says"[^>]*>[^<]*0x', document)
