// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// A worthless token under a known one's symbol, which logs transfers in other people's names.
contract LookAlike {
    string public constant name = "Sandbox Dollar";
    string public constant symbol = "USDX";
    uint8 public constant decimals = 6;
    mapping(address => uint256) public balanceOf;

    event Transfer(address indexed from, address indexed to, uint256 value);

    function mint(address to, uint256 value) external {
        balanceOf[to] += value;
        emit Transfer(address(0), to, value);
    }

    function transfer(address to, uint256 value) external returns (bool) {
        balanceOf[msg.sender] -= value;
        balanceOf[to] += value;
        emit Transfer(msg.sender, to, value);
        return true;
    }

    function spoof(address from, address to, uint256 value) external {
        emit Transfer(from, to, value);
    }
}
