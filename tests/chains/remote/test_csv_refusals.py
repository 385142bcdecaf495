"""What is not read, each with one line that says where and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from export_samples import (
    BLOCKSCOUT,
    ETHERSCAN,
    HEAD,
    ME,
    SPANISH,
    TOKENS,
    TRONSCAN,
    USDT,
    YOU,
    B,
    C,
    plain,
    refused,
    told,
)

from calibar.chains.remote import csv_sheet
from calibar.chains.remote.csv_export import CsvExport
from calibar.errors import DecodeError, UsageError


def amounts(text: str, **said: object) -> list[int]:
    return [row.amount for row in told(text, **{"address": ME, **said})[0].rows]


# Hashes, addresses, ends.


@pytest.mark.parametrize("text", ["1.23E+76", "0xaaaa...bbbb", "0x" + "a" * 63, "0x" + "g" * 64, ""])
def test_a_changed_hash_is_refused(text: str) -> None:
    refused(DecodeError, "row 3, column 'Transaction Hash': .* is no hash", ETHERSCAN.replace(B, text))


@pytest.mark.parametrize(
    "text", ["4.69E+47", "0x8617...070d", "Binance: Hot Wallet", YOU[:-1], YOU.replace("e", "E", 1)]
)
def test_a_changed_address_is_refused(text: str) -> None:
    refused(DecodeError, "row 2, column 'From': ", ETHERSCAN.replace(f'"{YOU}","{ME}"', f'"{text}","{ME}"'))


def test_a_changed_tron_address_is_refused() -> None:
    refused(DecodeError, "row 2, column 'To'", TRONSCAN.replace("TJRabP", "TJRabQ"), "tron:mainnet")


def test_a_row_of_others_is_refused() -> None:
    strange = f"{C},105,2024-02-02 10:00:00,{YOU},{USDT},1"
    text = plain("1", "2").replace(YOU, "0x" + "1" * 40, 1) + "\n" + strange
    refused(DecodeError, "row 4: neither its sender nor its recipient is 0x5290", text)
    refused(DecodeError, "row 4: neither its sender nor its recipient is 0x5290", text, address=ME)
    refused(DecodeError, "row 2: neither its sender nor its recipient is 0xdAC1", text, address=USDT)


def test_rows_between_the_same_two_need_to_know_whose_they_are() -> None:
    refused(UsageError, "all rows are between 0x5290.* and 0x8617.* address=", plain("1", "2"))


def test_an_amount_that_goes_the_other_way_is_refused() -> None:
    text = ETHERSCAN.replace('"0","1,234.5"', '"1,234.5","0"')
    refused(DecodeError, "row 3: its amount goes the other way", text, address=ME)
    both = ETHERSCAN.replace('"0","1,234.5"', '"1","1,234.5"')
    refused(DecodeError, "row 3: its amount goes the other way", both, address=ME)


def test_a_missing_end_is_refused() -> None:
    refused(DecodeError, "row 2, column 'From': the sender is missing", ETHERSCAN.replace(YOU, "", 1))
    text = ETHERSCAN.replace(f'"{YOU}","","0","1,234.5"', '"","","0","1,234.5"')
    refused(DecodeError, "row 3, column 'To': the recipient is missing", text)


# Edits.


def test_a_higher_block_that_is_earlier_is_named() -> None:
    text = ETHERSCAN.replace("20000000", "20000005")
    refused(DecodeError, "rows 4 and 3: block 20000005 is higher than 20000001 but earlier", text)


def test_a_block_with_two_times_is_named() -> None:
    refused(DecodeError, "rows 3 and 4 give block 20000000 two times", ETHERSCAN.replace("20000001", "20000000"))


def test_a_transaction_that_stands_twice_is_named() -> None:
    text = ETHERSCAN + ETHERSCAN.splitlines()[1]
    refused(DecodeError, "rows 2 and 5 are the same transaction", text)


@pytest.mark.parametrize(
    "change", [('"1.5","0"', '1,5,"0"'), ('"Transfer"\n', '"Transfer","x"\n'), (',"0x60806040"', "")]
)
def test_a_row_with_other_cells_than_the_header_is_refused(change: tuple[str, str]) -> None:
    refused(DecodeError, r"row [24]: \d+ cells under 16 columns", ETHERSCAN.replace(*change, 1))


def test_columns_that_stand_twice_must_agree() -> None:
    head, row, _ = BLOCKSCOUT.replace("MethodName", "Status").splitlines()
    assert told(f"{head}\n{row}ok", address=ME) == told("\n".join(BLOCKSCOUT.splitlines()[:2]), address=ME)
    refused(DecodeError, "row 2, column 'Status': the file has this column twice", f"{head}\n{row}error", address=ME)


# Headers.


def test_a_column_that_may_be_several_things_is_refused() -> None:
    value = plain("1", head=HEAD.replace("Amount", "Value"))
    refused(UsageError, r"row 1: the column 'Value' may be in whole coins or base units.*columns=", value, address=ME)
    assert amounts(value, columns={"amount": "Value"}) == [10**18]
    assert amounts(value, columns={"base_amount": "Value"}) == [1]
    two = plain("1").replace("Blockno", "Amount In Words").replace("Txhash", "Quantity")
    refused(UsageError, "row 1: no column is known to be hash", two, address=ME)
    refused(
        UsageError, r"row 1: 'From' and 'Sender' may each be the from", plain("1", head=HEAD.replace("To", "Sender"))
    )
    fee = plain("1", head=HEAD.replace("Blockno", "Fee"))
    refused(UsageError, r"row 1: the column 'Fee' may be in whole coins or in base units", fee, address=ME)
    assert amounts(fee, columns={"fee": ""}) == [10**18]


def test_a_stated_column_must_be_there_and_be_something() -> None:
    refused(UsageError, "row 1: there is no column 'Quantity'", plain("1"), columns={"amount": "Quantity"})
    refused(UsageError, "a column is one of hash, block", plain("1"), columns={"price": "Amount"})


def test_pieces_are_no_amounts() -> None:
    nft = TOKENS.replace("TokenValue", "Token ID")
    refused(DecodeError, "row 1: it lists single pieces", nft)


def test_another_chains_export_is_refused() -> None:
    refused(UsageError, "row 1: its amounts are in ETH, but ethereum:56 has BNB", ETHERSCAN, "ethereum:56")
    assert told(ETHERSCAN.replace("(ETH)", "(BNB)"), "ethereum:56")


@pytest.mark.parametrize("word", ["1", "maybe", "Estado"])
def test_a_status_that_says_neither_is_refused(word: str) -> None:
    text = SPANISH.replace("Éxito", word)
    refused(DecodeError, r"row 2, column 'Estado': .* says neither", text)
    assert len(told(text, columns={"status": ""}, address=ME)[0].rows) == 2


def test_a_number_is_a_status_where_it_is_stated_what_it_means() -> None:
    text = SPANISH.replace("Éxito", "1").replace("Fallido", "0")
    assert told(text, columns={"success": "Estado", "status": ""}) == told(SPANISH)
    text = SPANISH.replace("Éxito", "0").replace("Fallido", "1")
    assert told(text, columns={"error": "Estado", "status": ""}) == told(SPANISH)


# Files.


def test_encodings() -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"):
        assert told(SPANISH.encode(encoding)) == told(SPANISH)
    refused(DecodeError, "the text is neither UTF-8 nor UTF-16: save it as", SPANISH.encode("latin-1"))


@pytest.mark.parametrize("text", ["", "hello", "\n\n", ETHERSCAN.splitlines()[0], "PK\x03\x04,zip"])
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises((DecodeError, UsageError)):
        told(text)


def test_a_quotation_mark_that_is_not_closed() -> None:
    refused(DecodeError, "row [0-9]+: .*quotation mark", ETHERSCAN + '"0xabc')


def test_hostile_sizes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refused(DecodeError, "row 2, column 'Amount': more than 4096", plain("1" * 5000), address=ME)
    refused(DecodeError, "quotation mark is not closed, or a cell too long", plain("1" * 200_000), address=ME)
    refused(DecodeError, "row 2: it is longer than 1 MB", HEAD + "\n" + "," * 2_000_000)
    refused(DecodeError, "row 2: it is longer than 1 MB", HEAD + "\n" + '"\n",' * 500_000)
    refused(DecodeError, "row 1: .*columns are no export", "a," * 5_000)
    refused(DecodeError, "row 1", "a," * 5_000_000)
    monkeypatch.setattr(csv_sheet, "MOST_ROWS", 2)
    refused(DecodeError, "row 4: more than 2 rows", ETHERSCAN)
    monkeypatch.setattr(csv_sheet, "LARGEST", 100)
    refused(DecodeError, "larger than", ETHERSCAN)
    (tmp_path / "big.csv").write_text(ETHERSCAN)
    with pytest.raises(UsageError, match=r"big\.csv is larger than"):
        CsvExport([tmp_path / "big.csv"], "ethereum:1", lambda _: None)


def test_a_long_cell_that_nobody_asks_for_is_no_matter() -> None:
    assert told(ETHERSCAN.replace("2678.85", "x" * 100_000)) == told(ETHERSCAN)


# Arguments.


@pytest.mark.parametrize(
    "arguments",
    [{"chain": "bitcoin:1"}, {"chain": "ethereum:x"}, {"chain": "tron"}, {"address": "0x12"}, {"decimal": ";"},
     {"dates": "ymd"}, {"zone": "Mars/Base"}, {"zone": "../etc/passwd"}, {"decimals": {USDT: -1}},
     {"decimals": {USDT: 256}}, {"decimals": {USDT: True}}, {"decimals": {"USDT": 6}}, {"tokens": {"USDT": "USDT"}}],
)  # fmt: skip
def test_wrong_arguments(arguments: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(ETHERSCAN)
    chain = str(arguments.pop("chain", "ethereum:1"))
    with pytest.raises(UsageError) as caught:
        CsvExport([tmp_path / "a.csv"], chain, lambda _: None, **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_decimals_that_the_file_says_otherwise() -> None:
    text = TOKENS.replace("USDValueDayOfTx", "TokenDecimal").replace('"$1,000.00"', '"6"').replace('"$0.50"', '"6"')
    text = text.replace('"N/A"', '"6"')
    assert told(text)[0].rows[0].amount == 1_000_000_000
    refused(DecodeError, "row 2, column 'TokenDecimal': 6 decimals, and 18 are stated", text, decimals={USDT: 18})
