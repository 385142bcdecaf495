"""A file of each explorer, as people are handed them."""

from __future__ import annotations

from pathlib import Path

import pytest
from export_samples import (
    BLOCKSCOUT,
    ETHERSCAN,
    INTERNAL,
    ME,
    SPANISH,
    TOKENS,
    TRON_ME,
    TRON_YOU,
    TRONGRID,
    TRONSCAN,
    USDT,
    YOU,
    A,
    told,
)

from calibar.chains.bitcoin.sources.told import Exchange, Refusal
from calibar.chains.ethereum import address as ethereum
from calibar.chains.remote.csv_export import CsvExport, read
from calibar.chains.remote.transfers_told import (
    NATIVE,
    Asset,
    HoldingQuestion,
    Movements,
    MovementsQuestion,
    NewestQuestion,
    TransactionQuestion,
)
from calibar.chains.tron import address as tron
from calibar.errors import DecodeError, UsageError


def moved(answer: Movements) -> list[tuple[str, int]]:
    return [(row.kind, row.amount) for row in answer.rows]


def test_transactions_of_etherscan() -> None:
    (answer,) = told(ETHERSCAN)
    assert answer.address == ethereum.decode(ME) and answer.what == "value" and not answer.capped
    assert moved(answer) == [
        ("value", 15 * 10**17), ("value", 12345 * 10**17), ("fee", 21 * 10**14), ("fee", 35 * 10**13)
    ]  # fmt: skip
    assert answer.rows[0].txid.hex() == "a" * 64 and answer.rows[0].time == 1705399200
    assert answer.rows[2].sender == answer.address and answer.rows[2].recipient is None


def test_an_export_vouches_for_the_blocks_between_its_rows() -> None:
    (answer,) = told(ETHERSCAN)
    assert (answer.first, answer.upto) == (19000000, 20000001)


def test_internal_transfers_of_etherscan() -> None:
    (answer,) = told(INTERNAL)
    assert answer.what == "internal" and moved(answer) == [("internal", 25 * 10**16)]


def test_tokens_of_etherscan_need_their_decimals() -> None:
    with pytest.raises(UsageError, match=r"row 2: the file does not say how many decimals 0xdAC17.* decimals="):
        told(TOKENS)
    (answer,) = told(TOKENS, decimals={USDT: 6})
    assert [row.amount for row in answer.rows] == [1_000_000_000, 500_000, 3_000_000]
    assert answer.rows[0].asset == Asset(ethereum.decode(USDT)) and answer.rows[0].position is None


def test_a_token_from_nobody_is_minted_and_a_formula_stays_text() -> None:
    said = told(TOKENS, decimals={USDT: 6})[0].rows[2]
    assert said.sender is None and said.said is not None
    assert (said.said.name, said.said.symbol) == ('=HYPERLINK("http://evil")', "@SUM(A1)")


def test_transactions_of_blockscout_are_in_base_units() -> None:
    (answer,) = told(BLOCKSCOUT, "ethereum:100")
    assert moved(answer) == [("value", 15 * 10**17), ("fee", 21 * 10**12)]
    assert answer.rows[0].time == 1709294400


def test_tokens_of_tronscan_one_answer_a_class() -> None:
    token, trc10 = told(TRONSCAN, "tron:mainnet", decimals={TRON_YOU: 6, "1002000": 6})
    assert token.what == "token" and moved(token) == [("token", 12_345_670_000)]
    assert trc10.what == "trc10" and trc10.rows[0].asset == Asset(number=1002000) and trc10.rows[0].kind == "value"
    assert token.address == tron.parse(TRON_ME)


def test_coins_of_tronscan() -> None:
    text = TRONSCAN.replace(f"{TRON_YOU},USDT", "TRX,TRX").replace("1002000,BTT", "TRX,TRX")
    (answer,) = told(text, "tron:mainnet")
    assert moved(answer) == [("value", 12_345_670_000), ("value", 8_000_000)] and answer.rows[0].asset == NATIVE


def test_a_token_that_calls_itself_trx_is_not_the_coin() -> None:
    text = TRONSCAN.replace("1002000,BTT", "TRX,TRX")
    with pytest.raises(UsageError, match=r"row 3, column 'Token': 'TRX' is a name that a token can give itself"):
        told(text, "tron:mainnet", decimals={TRON_YOU: 6})
    answers = told(text, "tron:mainnet", decimals={TRON_YOU: 6}, tokens={"TRX": "native"})
    assert [answer.what for answer in answers] == ["token", "value"]


def test_a_token_named_by_its_symbol_needs_a_contract() -> None:
    text = TRONSCAN.replace(f"{TRON_YOU},USDT", "USDT,USDT")
    with pytest.raises(UsageError, match=r"row 2, column 'Token': 'USDT' is a name, .* tokens="):
        told(text, "tron:mainnet")
    said = {"tokens": {"USDT": TRON_YOU}, "decimals": {TRON_YOU: 6, "1002000": 0}}
    assert told(text, "tron:mainnet", **said)[0].rows[0].asset == Asset(tron.parse(TRON_YOU))


def test_tokens_of_trongrid_are_in_base_units() -> None:
    (answer,) = told(TRONGRID, "tron:mainnet", address=TRON_ME)
    assert answer.rows[0].amount == 4_900_000 and answer.rows[0].time == 1709294400 and answer.upto is None


def test_a_spanish_export() -> None:
    (answer,) = told(SPANISH)
    assert moved(answer) == [("value", 12345 * 10**17)] and answer.rows[0].time == 1705399200


def test_what_is_unconfirmed_is_in_no_block() -> None:
    text = TRONSCAN.replace("SUCCESS,CONFIRMED", "SUCCESS,UNCONFIRMED", 1)
    (row,) = told(text, "tron:mainnet", decimals={TRON_YOU: 6, "1002000": 6})[0].rows
    assert row.height is None


def test_fees_that_others_paid_are_not_the_address() -> None:
    (answer,) = told(ETHERSCAN.replace('"2678.85","0"', '"2678.85","0.5"'))
    assert [row.amount for row in answer.rows if row.kind == "fee"] == [21 * 10**14, 35 * 10**13]


def test_a_transfer_to_itself_is_one_movement() -> None:
    text = ETHERSCAN.replace(f'"{YOU}","{ME}","","1.5","0"', f'"{ME}","{ME}","","1.5","1.5"')
    assert moved(told(text)[0])[0] == ("value", 15 * 10**17)


@pytest.mark.parametrize("count", [1_000, 5_000, 10_000])
@pytest.mark.parametrize("rising", [True, False])
def test_an_export_of_a_round_number_of_rows_is_capped(count: int, rising: bool) -> None:
    order = range(count) if rising else reversed(range(count))
    lines = [f"{at:064x},{1000 + at},{1_700_000_000 + at},{YOU},{ME},1,0" for at in order]
    head = "Txhash,Blockno,UnixTimestamp,From,To,Value_IN(ETH),Value_OUT(ETH)"
    (answer,) = told("\n".join([head, *lines]))
    assert answer.capped
    assert (answer.first, answer.upto) == ((1000, 998 + count) if rising else (1001, 999 + count))
    (shorter,) = told("\n".join([head, *lines[1:]]))
    assert not shorter.capped


def test_a_separator_line_and_a_spreadsheets_own_signs_are_tolerated() -> None:
    text = ETHERSCAN.replace('"19000000"', '" 19000000\xa0"').replace(f'"{A}"', f'"\'{A}"').replace('"1.5"', '"\'1.5 "')
    assert told("sep=,\r\n" + text) == told(ETHERSCAN)


def test_a_stated_column_is_taken_before_the_known_ones() -> None:
    text = SPANISH.replace("Cantidad", "Quantity")
    with pytest.raises(UsageError, match=r"row 1: no column is known to be amount among .*columns="):
        told(text)
    assert told(text, columns={"amount": "Quantity"}) == told(SPANISH)


# As an explorer.


def write(folder: Path, **files: str) -> list[Path]:
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return [folder / f"{name}.csv" for name in files]


def test_files_are_kept_once_whatever_is_asked_first(tmp_path: Path) -> None:
    kept: list[Exchange] = []
    files = CsvExport(write(tmp_path, coins=ETHERSCAN, inside=INTERNAL), "ethereum:1", kept.append)
    (answer,) = files.ask([NewestQuestion()])
    assert isinstance(answer[1], Refusal)
    assert [exchange.place for exchange in kept] == ["file coins.csv", "file inside.csv"]
    assert [list(read(e.request, e.response)) for e in kept] == [told(ETHERSCAN), told(INTERNAL)]
    mine, who = ethereum.decode(ME), ethereum.decode(YOU)
    answers = [
        told
        for _, told in files.ask(
            [
                MovementsQuestion(mine, "value", 100),
                MovementsQuestion(mine, "internal", 100),
                MovementsQuestion(mine, "token", 100),
                MovementsQuestion(who, "value", 100),
                MovementsQuestion(mine, "value", 2),
                HoldingQuestion(mine, NATIVE),
                TransactionQuestion(bytes(32)),
            ]
        )
    ]
    assert answers[:2] == [*told(ETHERSCAN), *told(INTERNAL)]
    assert [isinstance(answer, Refusal) for answer in answers[2:]] == [True] * 5
    assert isinstance(answers[4], Refusal) and answers[4].too_much
    assert len(kept) == 2
    files.close()


def test_what_is_asked_from_a_height_on(tmp_path: Path) -> None:
    files = CsvExport(write(tmp_path, coins=ETHERSCAN), "ethereum:1", lambda _: None)
    ((_, answer),) = files.ask([MovementsQuestion(ethereum.decode(ME), "value", 100, first=20000001)])
    assert isinstance(answer, Movements) and moved(answer) == [("fee", 35 * 10**13)]
    assert answer.first == 20000001


def test_files_that_do_not_adjoin_vouch_for_the_first(tmp_path: Path) -> None:
    head, first, second, third = ETHERSCAN.splitlines()
    paths = write(tmp_path, late="\n".join([head, second, third]), early=f"{head}\n{first}")
    files = CsvExport(paths, "ethereum:1", lambda _: None, address=ME)
    ((_, answer),) = files.ask([MovementsQuestion(ethereum.decode(ME), "value", 100)])
    assert isinstance(answer, Movements) and answer.capped and answer.upto == 19000000
    assert len(answer.rows) == 4 and files.place == "files late.csv, early.csv"


def test_only_one_token_where_that_is_asked(tmp_path: Path) -> None:
    files = CsvExport(write(tmp_path, tokens=TOKENS), "ethereum:1", lambda _: None, decimals={USDT: 6})
    for contract, count in ((USDT, 3), (YOU, 0)):
        question = MovementsQuestion(ethereum.decode(ME), "token", 10, asset=Asset(ethereum.decode(contract)))
        ((_, answer),) = files.ask([question])
        assert isinstance(answer, Movements) and len(answer.rows) == count


def test_the_request_is_canonical_and_says_what_was_stated(tmp_path: Path) -> None:
    kept: list[Exchange] = []
    files = CsvExport(
        write(tmp_path, tokens=TOKENS), "ethereum:1", kept.append, decimals={USDT: 6}, zone="UTC", address=ME
    )
    list(files.ask([]))
    assert kept[0].request == (
        '{"address":"0x52908400098527886E0F7030069857D2E4169EE7","chain":"ethereum:1","decimals":'
        '{"0xdAC17F958D2ee523a2206206994597C13D831ec7":6},"file":"tokens.csv","zone":"UTC"}'
    )
    assert list(read(kept[0].request, kept[0].response)) == told(TOKENS, decimals={USDT: 6})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*none\.csv"):
        CsvExport([tmp_path / "none.csv"], "ethereum:1", lambda _: None)
    with pytest.raises(UsageError, match="no file is given"):
        CsvExport([], "ethereum:1", lambda _: None)


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match=r"^file broken\.csv, row 1: there is no header"):
        CsvExport(write(tmp_path, broken="hello"), "ethereum:1", lambda _: None)
