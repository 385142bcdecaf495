// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// Things one of a kind (ERC-721): their Transfer has the same first topic as a token's, and a fourth.
contract Item {
    string public constant name = "Sandbox Item";
    string public constant symbol = "ITEM";
    mapping(uint256 => address) public ownerOf;
    mapping(address => uint256) public balanceOf;
    mapping(uint256 => address) public getApproved;

    event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);
    event Approval(address indexed owner, address indexed approved, uint256 indexed tokenId);

    function mint(address to, uint256 id) external {
        require(ownerOf[id] == address(0));
        ownerOf[id] = to;
        balanceOf[to] += 1;
        emit Transfer(address(0), to, id);
    }

    function approve(address spender, uint256 id) external {
        require(ownerOf[id] == msg.sender);
        getApproved[id] = spender;
        emit Approval(msg.sender, spender, id);
    }

    function transferFrom(address from, address to, uint256 id) external {
        require(ownerOf[id] == from && (msg.sender == from || msg.sender == getApproved[id]));
        ownerOf[id] = to;
        balanceOf[from] -= 1;
        balanceOf[to] += 1;
        delete getApproved[id];
        emit Transfer(from, to, id);
    }
}
