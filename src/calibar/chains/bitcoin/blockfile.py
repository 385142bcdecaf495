"""Find serialised blocks: in Bitcoin Core's `blocks` folder, in single block files, as raw blocks.

A block file is a run of records: four magic bytes, a length (u32), a serialised block. Bitcoin Core (28 and later)
XORs its files with the eight bytes of `xor.dat`, by position in the file; it allocates ahead, so a file may end in
zeros (on disk, whether XORed or not); and the last record of a folder may be cut while the node writes it.
Anything else that is not a record is refused. Source: Bitcoin Core, `src/node/blockstorage.cpp`.
"""

from __future__ import annotations

import hashlib
import mmap
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibar.chains.bitcoin.networks import NETWORKS, Network
from calibar.errors import ChainError, DecodeError, UsageError
from calibar.kernels import blocks as kernels

HEADER = 80
_BLK = re.compile(r"blk(\d{5,})\.dat$")
_MAGICS = {network.magic: network for network in reversed(NETWORKS.values())}  # of two with one magic, the first
_GENESES = {(network.magic, bytes.fromhex(network.genesis)[::-1]): network for network in NETWORKS.values()}
_HEX = re.compile(rb"[0-9A-Fa-f\s]+")


@dataclass(frozen=True, slots=True)
class FoundBlock:
    """A block's place and header; hashes are in wire order (reversed when displayed)."""

    hash: bytes
    header: bytes
    file: int
    offset: int
    """Where the serialised block begins in its file."""
    size: int

    @property
    def previous(self) -> bytes:
        """Hash of the block before."""
        return self.header[4:36]

    @property
    def name(self) -> str:
        """Hash as displayed."""
        return self.hash[::-1].hex()


@dataclass(slots=True)
class Source:
    """Files with blocks in them, opened when read: a node has more of them than a process may hold open."""

    network: Network
    paths: list[Path]
    key: bytes
    """Eight bytes that the files are XORed with; zeros where they are plain."""
    blocks: list[FoundBlock] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was passed over, one line each."""
    _texts: dict[int, bytes] = field(default_factory=dict)
    """Blocks that were given as hex, by file."""

    def close(self) -> None:
        """Let go of what is held in memory."""
        self._texts.clear()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def copy(self, block: FoundBlock, out: NDArray[np.uint8]) -> None:
        """Write a block's plain bytes to `out`, which has its size. Raises UsageError where they cannot be read."""
        if block.file in self._texts:
            out[:] = np.frombuffer(self._texts[block.file], np.uint8)
            return
        try:
            with self.paths[block.file].open("rb") as file:
                file.seek(block.offset)
                whole = file.readinto(memoryview(out)) == block.size  # type: ignore[arg-type]
        except OSError as error:
            raise UsageError(f"cannot read {self.paths[block.file]}: {error.strerror}") from None
        if not whole:
            raise UsageError(f"{self.where(block)} was cut while it was read; ingest again when the node is idle")
        if any(self.key):
            phase = block.offset % 8
            pad = np.frombuffer((self.key * (block.size // 8 + 2))[phase : phase + block.size], np.uint8)
            np.bitwise_xor(out, pad, out=out)

    def where(self, block: FoundBlock) -> str:
        """For error lines: hash, file and offset."""
        return f"block {block.name} in {self.paths[block.file]} at byte {block.offset}"


def _xor(data: bytes, key: bytes, offset: int) -> bytes:
    phase = offset % 8
    pad = (key * (len(data) // 8 + 2))[phase : phase + len(data)]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(len(data), "little")


def target_of(bits: int) -> int:
    """Target of a compact difficulty; 0 where it is negative or overflows. Source: Core's arith_uint256::SetCompact."""
    exponent, mantissa = bits >> 24, bits & 0x007FFFFF
    if bits & 0x00800000 or mantissa == 0:
        return 0
    target = mantissa << 8 * (exponent - 3) if exponent > 3 else mantissa >> 8 * (3 - exponent)
    return target if target < 1 << 256 else 0


def header_work(header: bytes) -> int:
    """Expected hashes behind a header: 2^256 / (target + 1)."""
    return (1 << 256) // (target_of(int.from_bytes(header[72:76], "little")) + 1)


def check_proof_of_work(header: bytes, network: Network) -> bytes:
    """Hash of an 80-byte header, in wire order; raises ChainError where it misses its own target or the network's."""
    target = target_of(int.from_bytes(header[72:76], "little"))
    if target == 0 or target > network.pow_limit:
        raise ChainError(f"claims a difficulty ({header[72:76][::-1].hex()}) that {network.name} does not allow")
    digest = work = hashlib.sha256(hashlib.sha256(header).digest()).digest()
    if network.proof_of_work == "scrypt":
        work = hashlib.scrypt(header, salt=header, n=1024, r=1, p=1, dklen=32)
    if int.from_bytes(work, "little") > target:
        raise ChainError(f"has no proof of work: hash {work[::-1].hex()} is above its target")
    return digest


def _is_zero(data: mmap.mmap | bytes, start: int) -> bool:
    step = 1 << 20
    return all(not any(data[at : at + step]) for at in range(start, len(data), step))


def _map(path: Path) -> mmap.mmap | bytes:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None


def _is_whole(raw: bytes, network: Network) -> bool:
    """Whether bytes that end in zeros are a block all the same: anyone may pay to a script of zeros."""
    data = np.frombuffer(bytearray(raw), np.uint8)
    bounds = np.array([0, data.size], np.int64)
    columns = kernels.allocate(1, data.size)
    return kernels.decode(data, bounds[:1], bounds[1:], network.max_money, True, True, columns)[0] == kernels.OK


def _records(source: Source, index: int, data: mmap.mmap | bytes) -> Iterator[FoundBlock]:
    """The block records of one file, in file order."""
    path, key, network = source.paths[index], source.key, source.network
    obfuscated = any(key)
    at, size = 0, len(data)
    while at < size:
        raw = bytes(data[at : at + 8 + HEADER])
        head = _xor(raw, key, at) if obfuscated else raw
        magic, length = head[:4], int.from_bytes(head[4:8], "little")
        if magic != network.magic:
            if not any(raw) and _is_zero(data, at):
                return
            if len(raw) < 8 and network.magic.startswith(magic):
                source.notes.append(f"{path}: the last record is cut at byte {at}; passed over")
                return
            if magic in _MAGICS:
                raise _foreign(path, at, _MAGICS[magic], network)
            what = "no block record" if at else "not a block file"
            hint = "the record before is cut or damaged" if at else _key_hint(raw[:4], source)
            raise DecodeError(f"{path} at byte {at}: {what} (magic {magic.hex()}); {hint}")
        if len(head) == 8 + HEADER and not HEADER < length <= network.max_block_bytes:
            raise DecodeError(f"{path} at byte {at}: a record of {length} bytes is no block; the file is damaged")
        end = at + 8 + length
        cut = end > size or len(head) < 8 + HEADER
        if not cut and not any(data[end - 64 : end]) and _is_zero(data, end):
            cut = not _is_whole(_xor(bytes(data[at + 8 : end]), key, at + 8), network)
        if cut:
            following = _next_record(source, data, at + 8)
            if following is not None:
                raise DecodeError(
                    f"{path} at byte {at}: a record of {length} bytes is cut, the next begins at byte {following}; "
                    "the file is damaged"
                )
            source.notes.append(f"{path}: the last record is cut at byte {at}; passed over")
            return
        header = head[8:]
        try:
            digest = check_proof_of_work(header, network)
        except ChainError as error:
            raise ChainError(f"{path} at byte {at + 8}: the block {error}; the file is damaged") from None
        yield FoundBlock(digest, header, index, at + 8, length)
        at += 8 + length


def _foreign(path: Path, at: int, found: Network, network: Network) -> UsageError:
    return UsageError(
        f"{path} at byte {at}: a {found.name} record, but {network.name} is being read; "
        f"pass --network {found.name}, or keep networks apart"
    )


def _next_record(source: Source, data: mmap.mmap | bytes, start: int) -> int | None:
    """Where another record begins after `start`, if any does: what ends there is then no tail being written."""
    end = min(len(data), start + source.network.max_block_bytes)
    plain = _xor(bytes(data[start:end]), source.key, start)
    at = plain.find(source.network.magic)
    while at >= 0:
        try:
            check_proof_of_work(plain[at + 8 : at + 8 + HEADER], source.network)
            if len(plain) >= at + 8 + HEADER:
                return start + at
        except ChainError:
            pass
        at = plain.find(source.network.magic, at + 1)
    return None


def _key_hint(raw: bytes, source: Source) -> str:
    if any(source.key):
        if raw in _MAGICS:
            return "the file is plain, so xor.dat does not belong to it; move xor.dat away"
        return "xor.dat does not fit it, or it is no block file"
    return "if Bitcoin Core 28 or later wrote it, its xor.dat must lie beside it"


def _read_key(folder: Path) -> bytes:
    path = folder / "xor.dat"
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        return bytes(8)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    if len(key) != 8:
        raise DecodeError(f"{path} has {len(key)} bytes, not 8; copy it again from the node's blocks folder")
    return key


def _block_files(path: Path) -> list[Path]:
    for folder in (path, path / "blocks"):
        try:
            inside = list(folder.iterdir()) if folder.is_dir() else []
        except OSError as error:
            raise UsageError(f"cannot read {folder}: {error.strerror}") from None
        found = sorted((int(m[1]), p) for p in inside if (m := _BLK.match(p.name)))
        if found:
            return [p for _, p in found]
    raise UsageError(f"{path} holds no blk*.dat file; give a Bitcoin Core `blocks` folder, a blk file or a raw block")


def _raw_block(data: bytes) -> bytes | None:
    """The block in a file that is one serialised block, in binary or hex; None where it cannot be one."""
    if len(data) > HEADER and _HEX.fullmatch(data):
        text = b"".join(data.split())
        return bytes.fromhex(text.decode()) if len(text) % 2 == 0 and len(text) > 2 * HEADER else None
    return data if len(data) > HEADER and int.from_bytes(data[:4], "little") > 0 else None


def _begins(first: bytes, key: bytes) -> tuple[Network | None, bool]:
    """The network of a file's first record by its magic; and whether its genesis block, being that record, says so."""
    plain = _xor(first, key, 0)
    name = hashlib.sha256(hashlib.sha256(plain[8:]).digest()).digest()
    network = _GENESES.get((plain[:4], name))
    return network or _MAGICS.get(plain[:4]), network is not None


def open_source(
    places: Sequence[Path], network: Network | None = None, progress: Callable[[int, int], None] | None = None
) -> Source:
    """Open folders, block files or raw blocks and find every block in them; headers are checked for proof of work.

    Without `network` the first record's magic says which one it is; raw blocks have none and are taken as mainnet's.
    `progress(done, total)` is told bytes. Raises UsageError, DecodeError, ChainError.
    """
    paths: list[Path] = []
    key: bytes | None = None
    for place in places:
        if not place.exists():
            raise UsageError(f"there is no {place}; give a Bitcoin Core `blocks` folder, a blk file or a raw block")
        files = _block_files(place) if place.is_dir() else [place]
        found = _read_key(files[0].parent) if place.is_dir() or _BLK.match(place.name) else bytes(8)
        if key is not None and found != key:
            raise UsageError(f"{place} is XORed with another key than the source before it; ingest them one by one")
        key = found
        paths += files
    source = Source(network or NETWORKS["mainnet"], paths, key or bytes(8))
    try:
        _find_blocks(source, network is not None, progress)
    except BaseException:
        source.close()
        raise
    if not source.blocks:
        detail = f" ({source.notes[0]})" if source.notes else ""
        raise UsageError(f"there are no blocks in {', '.join(map(str, places))}{detail}")
    return source


def _find_blocks(source: Source, network_given: bool, progress: Callable[[int, int], None] | None) -> None:
    total = sum(path.stat().st_size for path in source.paths)
    known: set[bytes] = set()
    done = 0
    for index, path in enumerate(source.paths):
        data = _map(path)
        try:
            detected, certain = _begins(bytes(data[: 8 + HEADER]), source.key)
            if detected is not None and not network_given:
                source.network, network_given = detected, True
            if certain and detected is not None and detected.genesis != source.network.genesis:
                raise _foreign(path, 0, detected, source.network)
            if detected is None and not any(source.key) and not _BLK.match(path.name):
                found = _raw(source, index, data)
            else:
                found = _records(source, index, data)
            for block in found:
                if block.hash not in known:
                    known.add(block.hash)
                    source.blocks.append(block)
                if progress:
                    progress(done + block.offset + block.size, total)
            done += len(data)
        finally:
            if isinstance(data, mmap.mmap):
                data.close()
        if progress:
            progress(done, total)


def _raw(source: Source, index: int, data: mmap.mmap | bytes) -> Iterator[FoundBlock]:
    path, network = source.paths[index], source.network
    if len(data) > 2 * network.max_block_bytes + 4096:
        raise DecodeError(f"{path} is neither a block file (unknown magic {data[:4].hex()}) nor one raw block")
    plain = bytes(data)
    raw = _raw_block(plain)
    if raw is None or len(raw) > network.max_block_bytes:
        raise DecodeError(f"{path} is neither a block file (unknown magic {bytes(data[:4]).hex()}) nor a raw block")
    try:
        digest = check_proof_of_work(raw[:HEADER], network)
    except ChainError as error:
        raise ChainError(
            f"{path}: read as a raw block of {network.name}, it {error}; name its --network, or the file is damaged"
        ) from None
    if raw is not plain:
        source._texts[index] = raw
    yield FoundBlock(digest, raw[:HEADER], index, 0, len(raw))
