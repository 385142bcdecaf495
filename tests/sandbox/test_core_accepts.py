"""Bitcoin Core's own engine judges the sandbox: every signature, amount and proof of work."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pbk
import pytest

from calibar.chains.bitcoin.transaction import Block, Header, Transaction, TxOut, assemble
from calibar.sandbox.economy import NETWORK
from calibar.sandbox.locks import Kind
from calibar.sandbox.scenarios.theft import Theft
from calibar.sandbox.truth import Truth


class Judge:
    """A fresh regtest node's view of blocks, with its reason for the last."""

    def __init__(self, directory: Path, blocks: Iterable[Block]) -> None:
        self.verdict = pbk.ValidationMode.VALID
        callbacks = pbk.ValidationInterfaceCallbacks(block_checked=self._checked)
        self._node = pbk.load_chainman(directory, pbk.ChainType.REGTEST, callbacks)
        for block in blocks:
            self.show(block)

    def _checked(self, _data: object, _block: pbk.Block, state: pbk.BlockValidationState) -> None:
        self.verdict = state.validation_mode

    def show(self, block: Block) -> None:
        self._node.process_block(pbk.Block(block.serialise()))

    @property
    def tip(self) -> str:
        chain = self._node.get_active_chain()
        return str(chain.block_tree_entries[chain.height].block_hash)


def again(block: Block, height: int, transactions: tuple[Transaction, ...], extra: int = 0) -> Block:
    """The block with other transactions, everything that commits to them made anew."""
    header = block.header
    reward = block.transactions[0].outputs[0]
    rewards = [TxOut(reward.value + extra, reward.script)]
    return assemble(NETWORK, height, header.previous, header.time, rewards, transactions=transactions)


def spoiled(transaction: Transaction) -> Transaction:
    """`transaction` with one bit of its first input's signature flipped, in the middle of its S."""
    txin = transaction.inputs[0]
    if txin.witness:
        at = 1 if len(txin.witness) > 2 else 0
        witness = list(txin.witness)
        witness[at] = flipped(witness[at], -10)
        first = replace(txin, witness=tuple(witness))
    else:
        first = replace(txin, script_sig=flipped(txin.script_sig, 60))
    return replace(transaction, inputs=(first, *transaction.inputs[1:]))


def flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def test_core_accepts_every_block(theft: Theft, truth: Truth, tmp_path: Path) -> None:
    blocks = theft.economy.blocks
    judge = Judge(tmp_path, blocks[1:])
    assert judge.verdict == pbk.ValidationMode.VALID
    assert judge.tip == blocks[-1].hash == truth.tip


@pytest.mark.parametrize("kind", Kind)
def test_core_refuses_one_flipped_bit_in_a_signature(theft: Theft, tmp_path: Path, kind: Kind) -> None:
    blocks = theft.economy.blocks
    locks = {lock.script: lock.kind for wallet in theft.economy.wallets for lock in wallet.locks}
    coins: dict[str, Kind] = {}
    found: tuple[int, int] | None = None
    for height, block in enumerate(blocks):
        for position, transaction in enumerate(block.transactions):
            if not found and position and coins.get(transaction.inputs[0].coin) is kind:
                found = height, position
            for vout, output in enumerate(transaction.outputs):
                if output.script in locks:
                    coins[f"{transaction.txid}:{vout}"] = locks[output.script]
    assert found, f"no {kind} coin is ever spent first"
    height, position = found
    before, victim = blocks[height].transactions[1:position], blocks[height].transactions[position]
    fees = NETWORK.subsidy(height) - blocks[height].transactions[0].outputs[0].value

    judge = Judge(tmp_path, blocks[1:height])
    judge.show(again(blocks[height], height, (*before, spoiled(victim)), fees))
    assert judge.verdict == pbk.ValidationMode.INVALID
    assert judge.tip == blocks[height - 1].hash
    judge.show(again(blocks[height], height, (*before, victim), fees))
    assert judge.verdict == pbk.ValidationMode.VALID


def test_core_refuses_a_satoshi_too_many(theft: Theft, tmp_path: Path) -> None:
    blocks = theft.economy.blocks
    judge = Judge(tmp_path, blocks[1:-1])
    judge.show(again(blocks[-1], len(blocks) - 1, blocks[-1].transactions[1:], 1))
    assert judge.verdict == pbk.ValidationMode.INVALID
    assert judge.tip == blocks[-2].hash


def test_core_refuses_a_header_without_work(theft: Theft, tmp_path: Path) -> None:
    first = theft.economy.blocks[1]
    header: Header = first.header
    while int(header.hash, 16) <= NETWORK.pow_limit:
        header = replace(header, nonce=header.nonce + 1)
    judge = Judge(tmp_path, ())
    with pytest.raises(pbk.ProcessBlockException):
        judge.show(replace(first, header=header))
    assert judge.tip == NETWORK.genesis


def test_core_reads_the_written_folder_as_its_own(written: Path, tmp_path: Path, truth: Truth) -> None:
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    context = pbk.make_context(pbk.ChainType.REGTEST)
    options = pbk.ChainstateManagerOptions(context, str(tmp_path), str(tmp_path / "blocks"))
    options.set_wipe_dbs(True, True)
    node = pbk.ChainstateManager(options)
    node.import_blocks([])
    chain = node.get_active_chain()
    assert chain.height == truth.height
    assert str(chain.block_tree_entries[chain.height].block_hash) == truth.tip
