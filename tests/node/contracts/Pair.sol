// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

interface Token {
    function balanceOf(address holder) external view returns (uint256);
}

/// Moves a token whether or not its transfers return something.
library Moving {
    function move(address token, address to, uint256 value) internal {
        done(token, abi.encodeWithSignature("transfer(address,uint256)", to, value));
    }

    function moveFrom(address token, address from, address to, uint256 value) internal {
        done(token, abi.encodeWithSignature("transferFrom(address,address,uint256)", from, to, value));
    }

    function done(address token, bytes memory data) private {
        (bool success, bytes memory said) = token.call(data);
        require(success && (said.length == 0 || abi.decode(said, (bool))), "TRANSFER_FAILED");
    }
}

/// A pool of two tokens, constant product with 0.3 % kept, its events those of Uniswap V2.
contract Pair {
    string public constant name = "Sandbox Pool";
    string public constant symbol = "POOL";
    uint8 public constant decimals = 18;
    address public immutable token0;
    address public immutable token1;
    uint112 private reserve0;
    uint112 private reserve1;
    uint256 public totalSupply;
    mapping(address => uint256) public balanceOf;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Mint(address indexed sender, uint256 amount0, uint256 amount1);
    event Burn(address indexed sender, uint256 amount0, uint256 amount1, address indexed to);
    event Swap(
        address indexed sender,
        uint256 amount0In,
        uint256 amount1In,
        uint256 amount0Out,
        uint256 amount1Out,
        address indexed to
    );
    event Sync(uint112 reserve0, uint112 reserve1);

    constructor(address one, address other) {
        (token0, token1) = one < other ? (one, other) : (other, one);
    }

    function getReserves() external view returns (uint112, uint112, uint32) {
        return (reserve0, reserve1, 0);
    }

    /// Credits what has been sent to the pool since it last looked.
    function mint(address to) external returns (uint256 liquidity) {
        (uint256 balance0, uint256 balance1) = held();
        uint256 amount0 = balance0 - reserve0;
        uint256 amount1 = balance1 - reserve1;
        if (totalSupply == 0) {
            liquidity = root(amount0 * amount1);
        } else {
            uint256 by0 = (amount0 * totalSupply) / reserve0;
            uint256 by1 = (amount1 * totalSupply) / reserve1;
            liquidity = by0 < by1 ? by0 : by1;
        }
        require(liquidity > 0);
        totalSupply += liquidity;
        balanceOf[to] += liquidity;
        emit Transfer(address(0), to, liquidity);
        sync(balance0, balance1);
        emit Mint(msg.sender, amount0, amount1);
    }

    /// Pays back the whole share of the caller.
    function burn(address to) external {
        uint256 liquidity = balanceOf[msg.sender];
        (uint256 balance0, uint256 balance1) = held();
        uint256 amount0 = (liquidity * balance0) / totalSupply;
        uint256 amount1 = (liquidity * balance1) / totalSupply;
        require(amount0 > 0 && amount1 > 0);
        balanceOf[msg.sender] = 0;
        totalSupply -= liquidity;
        emit Transfer(msg.sender, address(0), liquidity);
        Moving.move(token0, to, amount0);
        Moving.move(token1, to, amount1);
        (balance0, balance1) = held();
        sync(balance0, balance1);
        emit Burn(msg.sender, amount0, amount1, to);
    }

    function swap(uint256 amount0Out, uint256 amount1Out, address to, bytes calldata) external {
        if (amount0Out > 0) Moving.move(token0, to, amount0Out);
        if (amount1Out > 0) Moving.move(token1, to, amount1Out);
        (uint256 balance0, uint256 balance1) = held();
        uint256 in0 = balance0 + amount0Out > reserve0 ? balance0 + amount0Out - reserve0 : 0;
        uint256 in1 = balance1 + amount1Out > reserve1 ? balance1 + amount1Out - reserve1 : 0;
        uint256 kept0 = balance0 * 1000 - in0 * 3;
        uint256 kept1 = balance1 * 1000 - in1 * 3;
        require(kept0 * kept1 >= uint256(reserve0) * reserve1 * 1000 ** 2, "K");
        sync(balance0, balance1);
        emit Swap(msg.sender, in0, in1, amount0Out, amount1Out, to);
    }

    function held() private view returns (uint256, uint256) {
        return (Token(token0).balanceOf(address(this)), Token(token1).balanceOf(address(this)));
    }

    function sync(uint256 balance0, uint256 balance1) private {
        (reserve0, reserve1) = (uint112(balance0), uint112(balance1));
        emit Sync(reserve0, reserve1);
    }

    function root(uint256 square) private pure returns (uint256 low) {
        low = square;
        for (uint256 next = square / 2 + 1; next < low; next = (square / next + next) / 2) low = next;
    }
}
