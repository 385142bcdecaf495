"""The reference checked with a pencil, and for conservation on random chains."""

from __future__ import annotations

from dataclasses import replace

import pytest
from graphs import STRANGER, UNSPENT, Block, Graph, Policy, Source, Stop, Tx, columns, questions
from hypothesis import HealthCheck, assume, given, settings
from reference import Segments, Trail, WrongQuestion, fifo, haircut, size, trace, traced

HAIRCUT = Policy(method="haircut")
FOLLOW = Policy(fees="follow")
ONE_HOP = Policy(stops=(("hops", 1),))
HOPS_THEN_SMALL: tuple[Stop, ...] = (("hops", 1), ("min-amount", 50))


def money(*values: int) -> Block:
    """A block that only makes coins (0, 0), (0, 1) and so on, when it is the first."""
    return Block((Tx((), values),), sum(values))


def block(*txs: Tx) -> Block:
    """A block whose miner takes one empty coin and leaves the fees."""
    return Block((Tx((), (0,)), *txs), 0)


def ask(graph: Graph, *sources: Source, policy: Policy | None = None) -> Trail:
    return trace(graph, list(sources), policy or Policy())


def ends(trail: Trail) -> dict[int, tuple[str, str]]:
    return {row["coin"]: (row["state"], row["reason"]) for row in trail["holdings"]}


def totals(**amounts: int) -> dict[str, int]:
    return {"in": 0, "held": 0, "stopped": 0, "fees": 0, "burnt": 0} | amounts


# Coins 0 (100) and 1 (50) are spent together; coin 2 is the miner's empty one; 3 (120) and 4 (20) come out, 10 is fee.
JOINED = Graph((money(100, 50), block(Tx(((0, 0), (0, 1)), (120, 20)))))


class TestFifo:
    def test_what_went_in_first_comes_out_first(self) -> None:
        trail = ask(JOINED, Source((0,)))
        assert trail["segments"] == {0: [(0, 100)], 3: [(0, 100), (None, 20)]}
        assert trail["totals"] == {0: totals(**{"in": 100}, held=100)}
        assert trail["holdings"] == [{"coin": 3, "traced": {0: 100}, "state": "held", "reason": "unspent"}]

    def test_the_fee_is_paid_last(self) -> None:
        trail = ask(JOINED, Source((1,)))
        assert trail["segments"] == {1: [(0, 50)], 3: [(None, 100), (0, 20)], 4: [(0, 20)]}
        assert trail["totals"] == {0: totals(**{"in": 50}, held=40, fees=10)}
        (step,) = trail["steps"]
        assert (step["tx"], step["hop"], step["fee"], step["fee_traced"]) == (2, 1, 10, {0: 10})
        assert step["inputs"] == [(0, 100, {}), (1, 50, {0: 50})]
        assert step["outputs"] == [(3, 120, {0: 20}), (4, 20, {0: 20})]

    def test_inputs_are_joined_in_the_order_of_the_transaction_not_of_the_coins(self) -> None:
        graph = Graph((money(100, 50), block(Tx(((0, 1), (0, 0)), (120, 20)))))
        assert ask(graph, Source((0,)))["segments"][3] == [(None, 50), (0, 70)]

    def test_an_output_of_nothing_takes_nothing(self) -> None:
        graph = Graph((money(5), block(Tx(((0, 0),), (0, 3, 0, 2)))))
        trail = ask(graph, Source((0,)))
        assert trail["segments"] == {0: [(0, 5)], 3: [(0, 3)], 5: [(0, 2)]}
        assert trail["steps"][0]["outputs"] == [(2, 0, {}), (3, 3, {0: 3}), (4, 0, {}), (5, 2, {0: 2})]

    def test_segments_of_three_inputs_are_cut_across_three_receivers(self) -> None:
        line: Segments = [(0, 4), (None, 3), (1, 2), (0, 1), (0, 2)]
        assert fifo(line, [5, 3, 4]) == [[(0, 4), (None, 1)], [(None, 2), (1, 1)], [(1, 1), (0, 3)]]

    def test_a_coin_spent_in_its_own_block_is_followed(self) -> None:
        graph = Graph((money(9), block(Tx(((0, 0),), (4, 5)), Tx(((2, 1),), (5,)))))
        trail = ask(graph, Source((0,)))
        assert [(step["tx"], step["hop"]) for step in trail["steps"]] == [(2, 1), (3, 2)]
        assert ends(trail) == {2: ("held", "unspent"), 4: ("held", "unspent")}


class TestHaircut:
    def test_the_left_over_unit_goes_to_the_largest_remainder(self) -> None:
        # 10 of 30: 7/3 = 2 1/3, 11/3 = 3 2/3, 12/3 = 4.
        parts = haircut([(0, 10), (None, 20)], [7, 11, 12])
        assert parts == [[(0, 2), (None, 5)], [(0, 4), (None, 7)], [(0, 4), (None, 8)]]

    def test_ties_go_to_the_earlier_output_and_the_fee_comes_last(self) -> None:
        graph = Graph((money(2, 2), block(Tx(((0, 1), (0, 0)), (1, 1, 1)))))
        step = ask(graph, Source((0,)), policy=HAIRCUT)["steps"][0]
        assert step["outputs"] == [(3, 1, {0: 1}), (4, 1, {0: 1}), (5, 1, {})]
        assert (step["fee"], step["fee_traced"]) == (1, {})

    def test_the_second_label_shares_the_room_that_the_first_left(self) -> None:
        # S0: 3/2 and 3/2, the tie to the first: 2, 1. S1 on rooms 3, 4: 18/7 and 24/7: 3, 3.
        graph = Graph((money(3, 1, 6), block(Tx(((0, 2), (0, 1), (0, 0)), (5, 5)))))
        trail = ask(graph, Source((0,)), Source((2,)), policy=HAIRCUT)
        assert trail["steps"][0]["outputs"] == [(4, 5, {0: 2, 1: 3}), (5, 5, {0: 1, 1: 3})]
        assert trail["segments"] == {}

    def test_shares_are_exact_where_products_exceed_64_bits(self) -> None:
        # The crumb's share is 10/21, the rest's remainder 11/21.
        parts = haircut([(0, 10**15), (None, 11 * 10**14)], [1, 21 * 10**14 - 1])
        assert [traced(part) for part in parts] == [{}, {0: 10**15}]


class TestSources:
    def test_thefts_of_one_coin_take_it_in_declared_order_until_nothing_is_left(self) -> None:
        trail = ask(JOINED, Source((0,), 30), Source((0,)))
        assert trail["sources"] == [{"label": 0, "coin": 0, "amount": 30}, {"label": 1, "coin": 0, "amount": 70}]
        assert trail["segments"][3] == [(0, 30), (1, 70), (None, 20)]
        with pytest.raises(WrongQuestion, match="S2"):
            ask(JOINED, Source((0,), 30), Source((0,)), Source((0,)))

    def test_the_chain_comes_before_the_declared_order(self) -> None:
        trail = ask(JOINED, Source((3,)), Source((0,)))
        assert trail["segments"][3] == [(1, 100), (0, 20)]
        assert trail["sources"] == [{"label": 0, "coin": 3, "amount": 20}, {"label": 1, "coin": 0, "amount": 100}]
        assert trail["steps"][0]["outputs"][0] == (3, 120, {1: 100})
        assert trail["holdings"][0]["traced"] == {0: 20, 1: 100}

    def test_an_amount_fills_clean_parts_from_the_front(self) -> None:
        trail = ask(JOINED, Source((1,)), Source((3,), 60))
        assert trail["segments"][3] == [(1, 60), (None, 40), (0, 20)]

    def test_an_amount_runs_over_the_coins_in_their_order_as_far_as_they_go(self) -> None:
        trail = ask(JOINED, Source((1, 0), 120))
        assert [row["amount"] for row in trail["sources"]] == [100, 20]
        assert trail["segments"] == {0: [(0, 100)], 1: [(0, 20), (None, 30)], 3: [(0, 120)]}
        assert ask(JOINED, Source((1, 0), 151))["totals"][0]["in"] == 150

    def test_a_coin_that_the_amount_does_not_reach_is_listed_and_is_no_source(self) -> None:
        graph = Graph((*JOINED.blocks, block(Tx(((2, 0), (2, 1)), (140,)))))
        trail = ask(graph, Source((0, 3), 100), policy=ONE_HOP)
        assert [row["amount"] for row in trail["sources"]] == [100, 0]
        assert ends(trail) == {3: ("stopped", "hops")}

    def test_with_followed_fees_the_coinbase_takes_the_amount_last(self) -> None:
        graph = Graph((money(8), Block((Tx((), (6,)), Tx(((0, 0),), (8,))), 6)))
        ref = Source((1, 2), 10)
        assert [row["amount"] for row in ask(graph, ref)["sources"]] == [6, 4]
        assert [row["amount"] for row in ask(graph, ref, policy=FOLLOW)["sources"]] == [2, 8]


class TestFees:
    # Coins: 0 (100); the coinbase's 1 (70) and 2 (5); 3 (60). The fee is 40; of 50 + 40 the miner leaves 15.
    PAID = Graph((money(100), Block((Tx((), (70, 5)), Tx(((0, 0),), (60,))), 50)))

    def test_stop_counts_the_traced_fee(self) -> None:
        trail = ask(self.PAID, Source((0,)))
        assert trail["totals"] == {0: totals(**{"in": 100}, held=60, fees=40)}
        assert [step["tx"] for step in trail["steps"]] == [2]

    def test_follow_pays_the_coinbase_after_the_subsidy_and_burns_what_it_leaves(self) -> None:
        trail = ask(self.PAID, Source((0,)), policy=FOLLOW)
        assert trail["segments"] == {0: [(0, 100)], 1: [(None, 50), (0, 20)], 2: [(0, 5)], 3: [(0, 60)]}
        assert trail["totals"] == {0: totals(**{"in": 100}, held=85, burnt=15)}
        coinbase, payer = trail["steps"]
        assert [(step["tx"], step["hop"]) for step in (coinbase, payer)] == [(1, 2), (2, 1)]
        assert coinbase["inputs"] == [(None, 50, {}), (None, 40, {0: 40})]
        assert coinbase["outputs"] == [(1, 70, {0: 20}), (2, 5, {0: 5})]
        assert (coinbase["fee"], coinbase["burnt"], coinbase["burnt_traced"]) == (0, 15, {0: 15})

    def test_follow_by_haircut(self) -> None:
        # 40 of 90 on 70, 5 and 15: 31 1/9, 2 2/9, 6 2/3.
        step = ask(self.PAID, Source((0,)), policy=replace(FOLLOW, method="haircut"))["steps"][0]
        assert [*step["outputs"], step["burnt_traced"]] == [(1, 70, {0: 31}), (2, 5, {0: 2}), {0: 7}]

    def test_fees_stand_in_the_line_in_block_order_without_the_empty_ones(self) -> None:
        txs = (Tx(((0, 0),), (7,)), Tx(((0, 2),), (10,)), Tx(((0, 1),), (6,)), Tx(((3, 0),), (3,)))
        graph = Graph((money(10, 10, 10), Block((Tx((), (4, 6)), *txs), 0)))
        coinbase = ask(graph, Source((1,)), policy=FOLLOW)["steps"][0]
        assert coinbase["inputs"] == [(None, 0, {}), (None, 3, {}), (None, 4, {0: 4}), (None, 7, {})]
        assert coinbase["outputs"] == [(3, 4, {0: 1}), (4, 6, {0: 3})]

    def test_the_coinbase_is_one_hop_after_the_nearest_transaction_that_paid_traced_units(self) -> None:
        # The fees: nothing at hops 1 and 2, one unit each at hops 3 and 4; the miner's coin is made at 4.
        txs = [Tx(((n, 0),), (value,)) for n, value in ((0, 10), (2, 10), (3, 9), (4, 8))]
        graph = Graph((money(10), Block((Tx((), (2,)), *txs), 0), block(Tx(((1, 0),), (2,)))))
        hops = {step["tx"]: step["hop"] for step in ask(graph, Source((0,)), policy=FOLLOW)["steps"]}
        assert hops == {1: 4, 2: 1, 3: 2, 4: 3, 5: 4, 7: 5}

    def test_each_block_has_its_own_payers(self) -> None:
        blocks = [Block((Tx((), (1,)), Tx(((n, 0),), (value,))), 0) for n, value in ((0, 9), (2, 8))]
        trail = ask(Graph((money(10), *blocks)), Source((0,)), policy=FOLLOW)
        assert [(step["tx"], step["hop"]) for step in trail["steps"]] == [(1, 2), (2, 1), (3, 3), (4, 2)]

    def test_a_block_with_an_unknown_fee_cannot_be_followed(self) -> None:
        graph = Graph((money(100), Block((Tx((), (15,)), Tx(((0, 0),), (90,)), Tx((None,), (5,))), 0)))
        trail = ask(graph, Source((0,)), policy=FOLLOW)
        assert trail["totals"] == {0: totals(**{"in": 100}, held=90, fees=10)}
        assert [step["tx"] for step in trail["steps"]] == [2]


class TestStops:
    # Coin 0 (100) is cut into 2 (80) and 3 (20); in the next block those and a clean 1 make 6 (101).
    SPLIT = Graph((money(100), block(Tx(((0, 0),), (80, 20))), Block((Tx((), (1,)),), 1)))
    AGAIN = Graph((*SPLIT.blocks, block(Tx(((2, 0), (3, 0), (2, 1)), (101,)))))

    def test_a_small_receipt_stops_and_moves_on_clean(self) -> None:
        trail = ask(self.AGAIN, Source((0,)), policy=Policy(stops=(("min-amount", 21),)))
        assert ends(trail) == {3: ("stopped", "min-amount"), 6: ("held", "unspent")}
        assert trail["segments"][6] == [(0, 80), (None, 21)]
        assert trail["steps"][1]["inputs"] == [(2, 80, {0: 80}), (4, 1, {}), (3, 20, {})]
        assert trail["totals"] == {0: totals(**{"in": 100}, held=80, stopped=20)}
        at_the_minimum = ask(self.AGAIN, Source((0,)), policy=Policy(stops=(("min-amount", 20),)))
        assert ends(at_the_minimum) == {6: ("held", "unspent")}

    def test_the_minimum_is_of_all_labels_together(self) -> None:
        refs = Source((0,), 10), Source((0,), 90)
        trail = ask(self.AGAIN, *refs, policy=Policy(stops=(("min-amount", 80),)))
        assert ends(trail)[3] == ("stopped", "min-amount")
        assert trail["steps"][1]["inputs"][0] == (2, 80, {0: 10, 1: 70})

    def test_value_at_the_last_hop_is_stopped_only_if_spent(self) -> None:
        assert ends(ask(self.AGAIN, Source((0,)), policy=ONE_HOP)) == {2: ("stopped", "hops"), 3: ("stopped", "hops")}
        assert ends(ask(self.SPLIT, Source((0,)), policy=ONE_HOP)) == {2: ("held", "unspent"), 3: ("held", "unspent")}

    def test_a_source_is_never_stopped_on_receipt(self) -> None:
        policy = Policy(stops=(("hops", 0), ("min-amount", 1000)))
        trail = ask(self.AGAIN, Source((0,), 90), Source((3,)), policy=policy)
        assert ends(trail) == {2: ("stopped", "hops"), 6: ("held", "unspent")}
        assert trail["segments"][6] == [(None, 81), (0, 10), (1, 10)]

    def test_the_first_rule_that_matches_is_the_reason(self) -> None:
        for stops, reason in ((HOPS_THEN_SMALL, "hops"), (HOPS_THEN_SMALL[::-1], "min-amount")):
            trail = ask(self.AGAIN, Source((0,)), policy=Policy(stops=stops))
            assert ends(trail) == {2: ("stopped", "hops"), 3: ("stopped", reason)}

    def test_the_hop_is_counted_from_the_nearest_traced_input(self) -> None:
        trail = ask(self.AGAIN, Source((0,)), Source((4,)))
        assert [(step["tx"], step["hop"]) for step in trail["steps"]] == [(2, 1), (5, 1)]

    def test_beside_an_unknown_input_traced_coins_stop(self) -> None:
        graph = Graph((*self.SPLIT.blocks, block(Tx(((2, 0), None, (2, 1), (3, 0)), (500,)))))
        trail = ask(graph, Source((0,)), policy=Policy(stops=(("min-amount", 21),)))
        assert ends(trail) == {2: ("stopped", "unknown input"), 3: ("stopped", "min-amount")}
        assert [step["tx"] for step in trail["steps"]] == [2]

    def test_value_in_an_unspendable_output_is_held_there(self) -> None:
        graph = Graph((money(9), block(Tx(((0, 0),), (4, 5), (False, True)))))
        trail = ask(graph, Source((0,)), policy=ONE_HOP)
        assert ends(trail) == {2: ("held", "unspent"), 3: ("held", "unspendable")}

    def test_what_happens_after_the_as_of_height_is_not_seen(self) -> None:
        trail = ask(self.AGAIN, Source((0,)), policy=Policy(as_of=2, stops=(("hops", 1),)))
        assert trail == ask(self.SPLIT, Source((0,)), policy=ONE_HOP)

    def test_a_source_made_after_the_as_of_height_does_not_exist(self) -> None:
        assert ask(self.AGAIN, Source((0, 6)), policy=Policy(as_of=2))["totals"][0]["in"] == 100
        with pytest.raises(WrongQuestion, match="S0"):
            ask(self.AGAIN, Source((6,)), policy=Policy(as_of=2))


class TestGraphs:
    @pytest.mark.parametrize(
        ("blocks", "problem"),
        [
            ((money(5), block(Tx(((0, 0), (0, 0)), (5,)))), "spent twice"),
            ((money(5), block(Tx(((0, 0),), (6,)))), "negative fee"),
            ((money(5), block(Tx(((1, 0),), (0,)))), "cannot be spent"),
            ((money(5), block(Tx(((0, 1),), (0,)))), "cannot be spent"),
            ((Block((Tx((), (6,)),), 5),), "claims too much"),
            ((Block((Tx((), (5,), (True,)),), 5), block(Tx(((0, 0),), (5,)))), "unspendable"),
        ],
    )
    def test_what_no_chain_can_hold_is_refused(self, blocks: tuple[Block, ...], problem: str) -> None:
        with pytest.raises(ValueError, match=problem):
            Graph(blocks)

    def test_columns_are_the_graph_flat(self) -> None:
        graph = Graph((money(100, 50), block(Tx(((0, 1),), (45,)), Tx(((2, 0), None), (9, 0)))))
        flat = {name: column.tolist() for name, column in vars(columns(graph)).items()}
        assert flat == {
            "block_first_tx": [0, 1, 4],
            "tx_first_coin": [0, 2, 3, 4, 6],
            "tx_first_input": [0, 0, 0, 1, 3],
            "tx_fee": [0, 0, 5, -1],
            "coin_value": [100, 50, 0, 45, 9, 0],
            "coin_spent_by": [UNSPENT, 0, UNSPENT, 1, UNSPENT, UNSPENT],
            "input_coin": [1, 3, -1],
            "block_subsidy": [150, 0],
            "coin_address": [STRANGER + coin for coin in range(6)],
            "address_kind": [0] * (STRANGER + 6),
        }


# A busy machine is no defect.
CHAINS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
Question = tuple[Graph, list[Source], Policy]


def answered(question: Question) -> Trail:
    try:
        return trace(*question)
    except WrongQuestion:
        assume(False)
        raise


def units(segments: Segments) -> list[int | None]:
    return [label for label, amount in segments for _ in range(amount)]


class TestAnyChain:
    @settings(CHAINS, max_examples=150)
    @given(questions())
    def test_every_unit_is_accounted_for(self, question: Question) -> None:
        trail = answered(question)
        labels = range(len(question[1]))
        for step in trail["steps"]:
            gave = [(value, labelled) for _, value, labelled in step["inputs"]]
            got = [(value, labelled) for _, value, labelled in step["outputs"]]
            got += [(step["fee"], step["fee_traced"]), (step["burnt"], step["burnt_traced"])]
            assert sum(value for value, _ in gave) == sum(value for value, _ in got)
            for label in labels:
                assert sum(x.get(label, 0) for _, x in gave) == sum(x.get(label, 0) for _, x in got)
            assert all(0 <= sum(labelled.values()) <= value for value, labelled in gave + got)
            assert any(labelled for _, labelled in gave)
        assert all(size(held) == question[0].value(coin) for coin, held in trail["segments"].items())
        for label in labels:
            row = trail["totals"][label]
            assert row["in"] == row["held"] + row["stopped"] + row["fees"] + row["burnt"] > 0
            assert row["held"] + row["stopped"] == sum(held["traced"].get(label, 0) for held in trail["holdings"])
            assert row["in"] == sum(source["amount"] for source in trail["sources"] if source["label"] == label)

    @settings(CHAINS, max_examples=100)
    @given(questions(max_blocks=6, largest=200))
    def test_under_fifo_each_unit_keeps_its_place_in_the_line(self, question: Question) -> None:
        graph, sources, policy = question
        trail = answered((graph, sources, replace(policy, method="fifo")))
        named = {row["coin"] for row in trail["sources"]}
        for step in (step for step in trail["steps"] if not graph.is_coinbase(step["tx"])):
            line: list[int | None] = []
            for coin, value, labelled in step["inputs"]:
                assert coin is not None
                line += units(trail["segments"][coin]) if labelled else [None] * value
            for coin, value, _ in step["outputs"]:
                came, line = line[:value], line[value:]
                got = units(trail["segments"].get(coin, [(None, value)]))
                for was, here in zip(came, got, strict=True):
                    assert here == was or (was is None and coin in named)
            assert traced([(label, 1) for label in line]) == step["fee_traced"]

    @settings(CHAINS, max_examples=60)
    @given(questions(max_blocks=8))
    def test_as_of_a_height_is_the_trail_of_the_shorter_chain(self, question: Question) -> None:
        graph, sources, policy = question
        height = (len(graph.blocks) - 1) // 2 if policy.as_of is None else policy.as_of
        shorter = Graph(graph.blocks[: height + 1])
        trail = answered((graph, sources, replace(policy, as_of=height)))
        assert trace(shorter, sources, replace(policy, as_of=None)) == trail
