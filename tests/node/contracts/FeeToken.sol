// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// A token that keeps one per cent of each transfer for its collector.
contract FeeToken {
    string public constant name = "Sandbox Toll";
    string public constant symbol = "TOLL";
    uint8 public constant decimals = 9;
    address public immutable collector;
    mapping(address => uint256) public balanceOf;

    event Transfer(address indexed from, address indexed to, uint256 value);

    constructor(address collector_, uint256 supply) {
        collector = collector_;
        balanceOf[msg.sender] = supply;
        emit Transfer(address(0), msg.sender, supply);
    }

    function transfer(address to, uint256 value) external returns (bool) {
        uint256 fee = value / 100;
        balanceOf[msg.sender] -= value;
        balanceOf[to] += value - fee;
        balanceOf[collector] += fee;
        emit Transfer(msg.sender, to, value - fee);
        emit Transfer(msg.sender, collector, fee);
        return true;
    }
}
