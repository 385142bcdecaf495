"""Servers on the loopback for tests: TCP with a play of one's own, TLS with a certificate made here, HTTP, SOCKS5."""

from __future__ import annotations

import datetime
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from calibar.chains.bitcoin.sources.told import Exchange

Play = Callable[[socket.socket], None]


@contextmanager
def listening(play: Play, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A port at which each connection is played to by a thread; a connection ends with its play."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    accepted: list[socket.socket] = []

    def serve(raw: socket.socket) -> None:
        with suppress(OSError, ValueError):
            raw.settimeout(20)
            with raw if tls is None else tls.wrap_socket(raw, server_side=True) as found:
                accepted.append(found)
                play(found)
        raw.close()

    def accept() -> None:
        with suppress(OSError):
            while True:
                raw, _ = listener.accept()
                threads.append(threading.Thread(target=serve, args=(raw,)))
                threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(10)
        for found in accepted:
            with suppress(OSError, ValueError):
                found.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)


@dataclass(frozen=True)
class Certificate:
    context: ssl.SSLContext
    fingerprint: str
    file: Path


def self_signed(folder: Path) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return Certificate(context, sha256(made.public_bytes(serialization.Encoding.DER)).hexdigest(), file)


@contextmanager
def socks5(port: int, wanted: tuple[bytes, bytes] | None = None) -> Iterator[tuple[int, list[str]]]:
    """A proxy that leads everywhere to `port`, and writes down the hosts asked for."""
    asked: list[str] = []

    def play(client: socket.socket) -> None:
        count = _exactly(client, 2)[1]
        methods = _exactly(client, count)
        if wanted is None:
            client.sendall(b"\x05\x00")
        elif 2 not in methods:
            client.sendall(b"\x05\xff")
            return
        else:
            client.sendall(b"\x05\x02")
            user = _exactly(client, _exactly(client, 2)[1])
            good = (user, _exactly(client, _exactly(client, 1)[0])) == wanted
            client.sendall(b"\x01\x00" if good else b"\x01\x01")
            if not good:
                return
        kind = _exactly(client, 4)[3]
        host = _exactly(client, 4) if kind == 1 else _exactly(client, _exactly(client, 1)[0])
        _exactly(client, 2)
        asked.append(host.decode() if kind == 3 else socket.inet_ntoa(host))
        if host == b"nowhere.example":
            client.sendall(b"\x05\x04\x00\x01" + bytes(6))
            return
        with socket.create_connection(("127.0.0.1", port)) as server:
            client.sendall(b"\x05\x00\x00\x01" + bytes(6))
            back = threading.Thread(target=_pour, args=(server, client))
            back.start()
            _pour(client, server)
            back.join(20)

    with listening(play) as proxy:
        yield proxy, asked


def _pour(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def _exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = source.recv(count - len(data))
        if not part:
            raise ConnectionError
        data += part
    return data


def lines(source: socket.socket) -> Iterator[dict[str, Any]]:
    """JSON lines as they come."""
    with source.makefile("rb") as reader:
        for line in reader:
            yield json.loads(line)


def send_line(target: socket.socket, message: object) -> None:
    target.sendall(json.dumps(message).encode() + b"\n")


@dataclass
class HttpPlay:
    """Answers HTTP requests by a function of the path: a body; or status, body and headers; or raw bytes to send."""

    answer: Callable[[str], bytes | tuple[int, bytes, dict[str, str]] | None]
    asked: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    connections: int = 0

    def __call__(self, client: socket.socket) -> None:
        self.connections += 1
        with client.makefile("rb") as reader:
            while True:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = reader.readline()
                    if not line:
                        return
                    head += line
                path = head.split()[1].decode()
                self.asked.append(path)
                self.heads.append(head)
                answer = self.answer(path)
                if answer is None:
                    return
                status, body, headers = answer if isinstance(answer, tuple) else (200, answer, {})
                if status == 0:
                    client.sendall(body)
                    return
                headers = {"Content-Type": "text/plain", "Content-Length": str(len(body))} | headers
                rows = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                client.sendall(f"HTTP/1.1 {status} So\r\n{rows}\r\n".encode() + body)
                if "close" in headers.values():
                    return


class Kept(list[Exchange]):
    """What was kept."""

    def __call__(self, exchange: Exchange) -> None:
        self.append(exchange)
