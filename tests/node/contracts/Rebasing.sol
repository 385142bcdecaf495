// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// A token whose balances grow and shrink for all holders at once, without a Transfer.
contract Rebasing {
    string public constant name = "Sandbox Tide";
    string public constant symbol = "TIDE";
    uint8 public constant decimals = 6;
    uint256 public index = 1000;
    mapping(address => uint256) public sharesOf;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Rebase(uint256 index);

    constructor(uint256 shares) {
        sharesOf[msg.sender] = shares;
        emit Transfer(address(0), msg.sender, shares);
    }

    function balanceOf(address holder) external view returns (uint256) {
        return (sharesOf[holder] * index) / 1000;
    }

    function transfer(address to, uint256 value) external returns (bool) {
        uint256 shares = (value * 1000) / index;
        sharesOf[msg.sender] -= shares;
        sharesOf[to] += shares;
        emit Transfer(msg.sender, to, value);
        return true;
    }

    function rebase(uint256 to) external {
        index = to;
        emit Rebase(to);
    }
}
