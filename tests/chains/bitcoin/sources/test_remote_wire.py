"""Sockets to servers: TLS vouched for, pinned or refused; through a proxy; deadlines."""

from __future__ import annotations

import socket
import ssl
import time

import pytest
from remote_servers import Certificate, listening, self_signed, socks5

from calibar.chains.remote.address import parse_address
from calibar.chains.remote.lines import Lines
from calibar.chains.remote.wire import AwayError, Timed, connect
from calibar.errors import UsageError


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("certificate"))


def reach(url: str, timeout: float = 5.0) -> socket.socket:
    return connect(parse_address(url, ("tcp", "ssl"), "ssl://e.example:1"), timeout)


def echo(client: socket.socket) -> None:
    while data := client.recv(65536):
        client.sendall(data)


def says_back(found: socket.socket) -> bool:
    with found:
        found.sendall(b"hello")
        return found.recv(100) == b"hello"


def test_a_pinned_certificate_is_enough(certificate: Certificate) -> None:
    with listening(echo, certificate.context) as port:
        assert says_back(reach(f"ssl://127.0.0.1:{port}#sha256={certificate.fingerprint}"))
        assert says_back(reach(f"ssl://localhost:{port}#sha256={certificate.fingerprint.upper()}"))


def test_another_certificate_than_the_pinned_one_is_refused(certificate: Certificate) -> None:
    with listening(echo, certificate.context) as port, pytest.raises(UsageError) as caught:
        reach(f"ssl://127.0.0.1:{port}#sha256={'ab' * 32}")
    assert certificate.fingerprint in str(caught.value) and "ab" * 32 in str(caught.value)


def test_a_certificate_that_nobody_vouches_for_is_refused_with_advice(certificate: Certificate) -> None:
    with listening(echo, certificate.context) as port, pytest.raises(UsageError) as caught:
        reach(f"ssl://127.0.0.1:{port}")
    assert f"add #sha256={certificate.fingerprint} to the address" in str(caught.value)
    assert "self-signed" in str(caught.value) and str(caught.value).isprintable()


def test_a_certificate_that_is_vouched_for_needs_no_pin(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    with listening(echo, certificate.context) as port:
        assert says_back(reach(f"ssl://127.0.0.1:{port}"))
        with pytest.raises(UsageError, match="Hostname mismatch"):
            reach(f"ssl://localhost:{port}")


def test_tls_is_not_spoken_everywhere() -> None:
    with (
        listening(lambda client: client.sendall(b"hello, no TLS here\n")) as port,
        pytest.raises(AwayError, match="TLS"),
    ):
        reach(f"ssl://127.0.0.1:{port}")


def test_a_handshake_that_drips_ends() -> None:
    def play(client: socket.socket) -> None:
        client.sendall(b"\x16\x03\x03\x40\x00")
        while True:
            client.sendall(b"\x02")
            time.sleep(0.02)

    begun = time.monotonic()
    with listening(play) as port, pytest.raises(AwayError, match="in time"):
        reach(f"ssl://127.0.0.1:{port}", 0.3)
    assert time.monotonic() - begun < 3


def test_a_proxy_is_given_the_name_to_resolve(certificate: Certificate) -> None:
    with listening(echo, certificate.context) as port, socks5(port) as (proxy, asked):
        assert says_back(
            reach(f"ssl://abcdef.onion:50002#proxy=socks5://127.0.0.1:{proxy}&sha256={certificate.fingerprint}")
        )
        with pytest.raises(UsageError, match="is not the pinned one"):
            reach(f"ssl://abcdef.onion:50002#proxy=socks5://127.0.0.1:{proxy}&sha256={'00' * 32}")
    assert asked == ["abcdef.onion"] * 2


def test_a_proxy_may_want_a_password() -> None:
    with listening(echo) as port, socks5(port, (b"me", b"hu@sh")) as (proxy, _):
        assert says_back(reach(f"tcp://e.example:1#proxy=socks5://me:hu%40sh@127.0.0.1:{proxy}"))
        for wrong in ("me:hush@", ""):
            with pytest.raises(AwayError, match="proxy") as caught:
                reach(f"tcp://e.example:1#proxy=socks5://{wrong}127.0.0.1:{proxy}")
            assert "hush" not in str(caught.value)


def test_a_proxy_that_finds_no_way_or_is_not_there() -> None:
    with socks5(1) as (proxy, _), pytest.raises(AwayError, match="its proxy says: Host unreachable"):
        reach(f"tcp://nowhere.example:1#proxy=socks5://127.0.0.1:{proxy}")
    with pytest.raises(UsageError, match=rf"its proxy socks5://127.0.0.1:{proxy} does not answer; is it running"):
        reach(f"tcp://e.example:1#proxy=socks5://me:hush@127.0.0.1:{proxy}")
    with listening(lambda client: client.sendall(b"HTTP/1.1 400\r\n\r\n")) as port, pytest.raises(AwayError):
        reach(f"tcp://e.example:1#proxy=socks5://127.0.0.1:{port}")


def test_a_timed_socket_ends_by_its_deadline_and_tells_whether_it_is_quiet(certificate: Certificate) -> None:
    for context in (None, certificate.context):
        with listening(echo, context) as port:
            pin = f"#sha256={certificate.fingerprint}" if context else ""
            timed = Timed(reach(f"{'ssl' if context else 'tcp'}://127.0.0.1:{port}{pin}"))
            timed.deadline = time.monotonic() + 5
            timed.sendall(b"hello")
            assert timed.makefile("rb").read(5) == b"hello" and timed.quiet()
            timed.deadline = time.monotonic() + 0.1
            with pytest.raises(TimeoutError):
                timed.makefile("rb").read(5)
            timed.deadline = time.monotonic() + 5
            timed.sendall(b"more")
            time.sleep(0.1)
            assert not timed.quiet()
            timed.hang_up()
            assert not timed.quiet()


def test_lines_go_out_while_as_many_come_in(certificate: Certificate) -> None:
    """Neither side reads before it has written all that fits: only who does both at once gets through."""
    many, line = 400, b"7" * 50_000

    def play(client: socket.socket) -> None:
        with client.makefile("rb") as reader:
            for _ in range(many):
                client.sendall(reader.readline())

    for context in (None, certificate.context):
        with listening(play, context) as port:
            pin = f"#sha256={certificate.fingerprint}" if context else ""
            found = Lines(reach(f"{'ssl' if context else 'tcp'}://127.0.0.1:{port}{pin}"), 1 << 20)
            for _ in range(many):
                found.put(line)
            assert all(found.take(time.monotonic() + 20) == line for _ in range(many))
            with pytest.raises(AwayError, match="cut"):
                found.take(time.monotonic() + 20)
            found.close()


def test_a_connection_cut_under_tls_is_noticed(certificate: Certificate) -> None:
    def play(client: socket.socket) -> None:
        client.recv(10)
        client.sendall(b"half a line")
        with socket.socket(fileno=client.detach()) as raw:  # no goodbye
            raw.shutdown(socket.SHUT_RDWR)

    assert isinstance(certificate.context, ssl.SSLContext)
    with listening(play, certificate.context) as port:
        found = Lines(reach(f"ssl://127.0.0.1:{port}#sha256={certificate.fingerprint}"), 1 << 20)
        found.put(b"?")
        with pytest.raises(AwayError, match="cut"):
            found.take(time.monotonic() + 5)
        found.close()
