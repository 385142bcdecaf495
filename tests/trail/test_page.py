"""A trail's page: complete in two languages, closed to every network, safe with hostile texts."""

from __future__ import annotations

import re
import subprocess
import sys
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

from calibar.errors import BalanceError, UsageError
from calibar.trail import words
from calibar.trail.page import COINS, STEPS, render, spaced

HERE = Path(words.__file__).parent


@pytest.mark.parametrize(
    "trail", [browser.one_source(), browser.four_sources(), browser.peel_chain(), browser.followed_fee()]
)
def test_the_page_is_well_formed_and_calls_nobody(trail: dict[str, Any]) -> None:
    assert_calls_nobody(render(trail, browser.names_for(trail)))


def test_its_content_policy_allows_its_own_style_and_script_and_nothing_else() -> None:
    assert_allows_its_own_parts_alone(render(browser.one_source()))


def test_the_page_says_all_of_the_trail() -> None:
    trail = browser.four_sources()
    said = Page(render(trail, browser.names_for(trail))).says("en")
    for amount in (2_755_00001, 1_64460000, 94_470_000, 30_000_001):
        assert spaced(amount) in said
    assert trail["digest"] in said
    assert trail["ledger"]["tip"] in said
    assert "First in, first out." in said
    assert "coins 80 transactions away from the sources" in said
    squeezed = said.replace(" ", "")
    for step in trail["steps"]:
        assert step["txid"] in squeezed
    for holding in trail["holdings"]:
        assert holding["address"] in squeezed
        assert holding["coin"] in squeezed


def test_the_shares_on_the_page_readd() -> None:
    text = render(browser.peel_chain())
    body = text[text.index('<table class="rests') : text.index("<tfoot>")]
    shares = re.findall(r'<td class="number">(\d+\.\d\d)</td>', body)
    assert len(shares) == 32
    assert sum(int(share.replace(".", "")) for share in shares) == 10_000


def test_amounts_are_there_for_machines_too() -> None:
    assert f'<data value="350000000">{spaced(350_000_000)}</data>' in render(browser.one_source())
    assert spaced(2_100_000_012_345_678) == "21\u202f000\u202f000.12\u202f345\u202f678"


def test_english_and_spanish_have_the_same_words_with_the_same_blanks() -> None:
    assert words.EN.keys() == words.ES.keys()
    for key, english in words.EN.items():
        spanish = words.ES[key]
        assert english.strip()
        assert spanish.strip()
        blanks = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in (english, spanish)]
        if not key.endswith(".one"):
            assert blanks[0] == blanks[1], key


def test_no_word_is_left_over() -> None:
    files = [HERE / name for name in ("page.py", "table.py", "words.py")]
    text = "".join(path.read_text("utf-8") for path in (*files, *(HERE / "templates").iterdir()))
    called = set(re.findall(r'(?:say|counted|word|button)\((?:"[^"]*", "[^"]*", )?"([^"]+)"', text))
    called |= {
        "fee_leak",
        "proven",
        "reported",
        "record",
        *(f"{part}_long" for part in ("held", "stopped", "fees", "burnt")),
    }
    called |= {"held", "stopped", "fees", "burnt", "fifo", "fifo_long", "haircut", "haircut_long"}
    families = {"reason", "stop", "fees"}
    assert not [k for k in words.EN if k not in called and k.rsplit(".", 1)[0] not in called | families]


def test_each_language_says_everything() -> None:
    trail = browser.one_source()
    assert_says_everything_twice(render(trail, browser.names_for(trail)))


@pytest.mark.parametrize("method", ["fifo", "haircut"])
def test_each_method_is_explained_in_both_languages(method: str) -> None:
    trail = browser.one_source()
    trail["policy"]["method"] = method
    page = Page(render(trail))
    assert words.EN[f"{method}_long"] in page.says("en")
    assert words.ES[f"{method}_long"] in page.says("es")


def test_the_first_language_is_the_one_asked_for() -> None:
    assert '<html lang="es">' in render(browser.one_source(), language="es")
    assert '<html lang="en">' in render(browser.one_source())
    with pytest.raises(UsageError, match="use en or es"):
        render(browser.one_source(), language="fr")


def test_facts_inferences_and_attributions_look_different() -> None:
    trail = browser.one_source()
    text = render(trail, browser.names_for(trail))
    assert '<span class="mark proven">' in text
    assert '<span class="mark reported">' in text
    assert re.search(r'<em class="inferred">.{0,40}spent in a CoinJoin', text)
    assert re.search(r'<q class="said">.{0,40}label: exchange', text)
    assert "<bdi>exchange deposit 1</bdi></q>" in text
    assert "exchange B&#39;s answer of 2024-05-02, exhibit 1" in text


def test_a_name_without_a_source_says_so() -> None:
    trail = browser.one_source()
    said = Page(render(trail, {trail["holdings"][0]["address"]: "somebody"})).says("en")
    assert "somebody" in said
    assert "source not stated" in said


def test_hostile_texts_stay_texts() -> None:
    assert_hostile_texts_are_texts(render(hostile(browser.one_source()), {HOSTILE: HOSTILE + "\n" + HOSTILE}))


def hostile(trail: dict[str, Any]) -> dict[str, Any]:
    """Put the hostile text wherever a trail has text that does not tie coins to steps."""
    for holding in trail["holdings"]:
        holding |= {"address": HOSTILE, "reason": HOSTILE}
    trail["holdings"][0]["reason"] = f"label:{HOSTILE}"
    for step in trail["steps"]:
        step["txid"], step["proof"] = HOSTILE, HOSTILE
        for out in step["outputs"]:
            out["address"] = HOSTILE
    for source in trail["sources"]:
        source["coin"] = HOSTILE
    trail["ledger"] |= {"network": HOSTILE, "tip": HOSTILE + "\ud800"}
    trail["policy"] |= {"stops": [HOSTILE], "overrides": [{"why": HOSTILE}], "method": HOSTILE, "fees": HOSTILE}
    return trail | {"digest": HOSTILE, "calibar": HOSTILE, "rules": {HOSTILE: HOSTILE}, "labels_digest": HOSTILE}


def test_a_long_trail_says_how_many_steps_it_leaves_to_the_document() -> None:
    page = Page(render(browser.peel_chain(STEPS + 33)))
    assert "33 more steps are in the trail's JSON document" in page.says("en")
    assert sum(attributes.get("class") == "head" for _, attributes in page.tags) == STEPS


def test_a_transaction_of_many_coins_prints_the_traced_ones_and_sums_the_others() -> None:
    made = browser.Made("many")
    made.spend([made.source(9_000)], [100] * 40 + [2_000] * 10, 0)
    said = Page(render(made.trail())).says("en")
    assert f"and {50 - COINS} more" in said
    assert spaced(40 * 100 - COINS * 100 + 10 * 2_000) in said


def test_unknown_values_heights_and_times_are_said_to_be_unknown() -> None:
    trail = browser.one_source()
    step = trail["steps"][0]
    step["inputs"].append({"coin": "ff:0", "value": None, "traced": {}})
    step |= {"fee": None, "height": None, "time": None}
    trail["ledger"]["height"] = trail["policy"]["as_of"] = None
    said = Page(render(trail)).says("es")
    assert said.count("desconocido") >= 4


def test_a_trail_that_does_not_readd_has_no_page() -> None:
    trail = browser.one_source()
    trail["totals"]["S0"]["held"] += 1
    with pytest.raises(BalanceError):
        render(trail)


def test_the_same_trail_gives_the_same_page_in_every_process() -> None:
    assert_same_in_every_process("import browser; from calibar.trail.page import render", "render(browser.large(120))")


def test_importing_the_page_does_not_import_its_template_engine() -> None:
    program = (
        "import sys, calibar.trail.page, calibar.trail.table; print({'jinja2', 'rich', 'numba'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "set()"


def test_a_real_browser_opens_the_page_in_the_language_of_the_address(tmp_path: Path) -> None:
    page = tmp_path / "trail.html"
    trail = browser.one_source()
    page.write_text(render(trail, browser.names_for(trail)), "utf-8")
    document, console = browser.browse(page, tmp_path / "profile", fragment="#es")
    assert console == ""
    assert '<html lang="es">' in document
    assert f'<title data-en="Trail of {spaced(350_000_000)} BTC"' in document
    assert f">Rastro de {spaced(350_000_000)} BTC</title>" in document
    assert trail["digest"] in document


def test_hostile_texts_do_nothing_in_a_real_browser(tmp_path: Path) -> None:
    assert_hostile_texts_do_nothing(render(hostile(browser.four_sources()), {HOSTILE: HOSTILE}), tmp_path)


def test_switch_zoom_and_highlight_work_in_a_real_browser(tmp_path: Path) -> None:
    act = """<script>
      document.getElementById("switch").click();
      document.getElementById("larger").click();
      const first = document.querySelector(".n");
      first.focus();
      first.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
      dispatchEvent(new Event("beforeprint"));
    </script></body>"""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy".*?>', "", render(browser.peel_chain(20)))
    page = tmp_path / "trail.html"
    page.write_text(text.replace("</body>", act), "utf-8")
    document, console = browser.browse(page, tmp_path / "profile")
    assert console == ""
    assert '<html lang="es">' in document
    assert re.search(r'<svg id="picture"[^>]* class="zoomed lit"', document)
    assert re.search(r'<g class="n step [^>]*tabindex="0"', document)
    assert 'class="r k0 on"' in document
    assert re.search(r'id="readout" class="note says"[^>]*>[0-9a-f]{64} · 2024', document)
    assert "<details open" in document
