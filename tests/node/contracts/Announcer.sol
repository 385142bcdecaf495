// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// Logs transfers that do not happen; it holds and names nothing.
contract Announcer {
    event Transfer(address indexed from, address indexed to, uint256 value);

    function announce(address from, address to, uint256 value) external payable {
        emit Transfer(from, to, value);
    }
}

/// Runs another contract's code as its own: the value that a delegated call shows in a trace has moved once only.
contract Proxy {
    address private immutable target;

    constructor(address target_) {
        target = target_;
    }

    fallback() external payable {
        (bool done, ) = target.delegatecall(msg.data);
        require(done);
    }

    receive() external payable {}
}
