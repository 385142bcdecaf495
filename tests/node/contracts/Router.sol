// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {Moving, Pair} from "Pair.sol";
import {Wrapped} from "Wrapped.sol";

/// Moves people's tokens with their allowance: straight on, or through a pool.
contract Router {
    Wrapped private immutable wrapped;

    constructor(address payable wrapped_) {
        wrapped = Wrapped(wrapped_);
    }

    receive() external payable {
        require(msg.sender == address(wrapped));
    }

    function pass(address token, address to, uint256 value) external {
        Moving.moveFrom(token, msg.sender, to, value);
    }

    function swap(Pair pair, address token, uint256 value, uint256 least, address to) external {
        Moving.moveFrom(token, msg.sender, address(pair), value);
        trade(pair, token, value, least, to);
    }

    function swapFromEther(Pair pair, uint256 least, address to) external payable {
        wrapped.deposit{value: msg.value}();
        wrapped.transfer(address(pair), msg.value);
        trade(pair, address(wrapped), msg.value, least, to);
    }

    function swapToEther(Pair pair, address token, uint256 value, uint256 least, address to) external {
        Moving.moveFrom(token, msg.sender, address(pair), value);
        uint256 out = trade(pair, token, value, least, address(this));
        wrapped.withdraw(out);
        (bool paid, ) = to.call{value: out}("");
        require(paid);
    }

    function trade(Pair pair, address token, uint256 value, uint256 least, address to) private returns (uint256 out) {
        (uint112 reserve0, uint112 reserve1, ) = pair.getReserves();
        bool first = token == pair.token0();
        (uint256 here, uint256 there) = first ? (reserve0, reserve1) : (reserve1, reserve0);
        out = (value * 997 * there) / (here * 1000 + value * 997);
        require(out >= least, "INSUFFICIENT_OUTPUT_AMOUNT");
        pair.swap(first ? 0 : out, first ? out : 0, to, "");
    }
}
