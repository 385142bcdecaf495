"""An Etherscan that is asked on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evm_explorers import KEY, Answer, Server, serving

from calibar.chains.bitcoin.sources.told import Exchange
from calibar.chains.ethereum.sources.etherscan import Etherscan
from calibar.chains.remote import transfers_told as told


@contextmanager
def opened(answer: Answer, page: int = 25, key: str | None = KEY) -> Iterator[tuple[Etherscan, list[Exchange], Server]]:
    kept: list[Exchange] = []
    with serving(answer) as server:
        explorer: told.Explorer = Etherscan(
            server.url + "/v2/api", kept.append, key=key, page=page, patience=8.0, sleep=lambda _: None
        )
        assert isinstance(explorer, Etherscan)
        try:
            yield explorer, kept, server
        finally:
            explorer.close()
        assert not any(KEY in exchange.request + exchange.place for exchange in kept)


def answer_of(explorer: Etherscan, question: told.Question) -> Any:
    ((asked, answer),) = explorer.ask([question])
    assert asked is question
    return answer
