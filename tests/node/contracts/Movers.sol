// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// Passes on what it is paid: internal transfers, some of which fail while the transaction succeeds.
contract Forwarder {
    function forward(address payable to) external payable {
        (bool paid, ) = to.call{value: msg.value}("");
        require(paid, "NOT_PAID");
    }

    /// Shares the value out; who refuses is left out, and the rest stays here.
    function spread(address payable[] calldata to) external payable {
        for (uint256 i = 0; i < to.length; i++) {
            (bool paid, ) = to[i].call{value: msg.value / to.length}("");
            paid;
        }
    }

    /// Pays `to` in an inner call that is undone, then stays silent about it.
    function pretend(address payable to) external payable {
        try this.undone{value: msg.value}(to) {} catch {}
    }

    function undone(address payable to) external payable {
        (bool paid, ) = to.call{value: msg.value}("");
        require(!paid, "UNDONE");
    }

    /// Makes a contract that holds the value until it is told to end.
    function create() external payable {
        new Doomed{value: msg.value}();
    }

    /// Makes a contract that ends in the same transaction.
    function createAndEnd(address payable heir) external payable {
        Doomed child = new Doomed{value: msg.value}();
        child.end(heir);
    }
}

/// Ends on demand and leaves what it holds to its heir.
contract Doomed {
    constructor() payable {}

    receive() external payable {}

    function end(address payable heir) external {
        selfdestruct(heir);
    }
}

/// A wallet that takes no payment.
contract Grumpy {
    receive() external payable {
        revert("NO_THANKS");
    }
}
