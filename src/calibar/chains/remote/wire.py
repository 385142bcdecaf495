"""Sockets to servers: plain, or TLS with a certificate that is vouched for or pinned, or through SOCKS5."""

from __future__ import annotations

import hmac
import io
import socket
import ssl
import time
from contextlib import suppress
from hashlib import sha256
from typing import Final

from python_socks import ProxyConnectionError, ProxyError, ProxyTimeoutError, ProxyType
from python_socks.sync import Proxy as Socks

from calibar.chains.remote.address import Address, one_line
from calibar.errors import UsageError

_NEVER: Final = ("nothing listens there", "its name is not known")


class AwayError(Exception):
    """No connection, or one that broke: worth another try, after `after` seconds where the server says so.

    `never`: nothing that looks like a server was found.
    """

    def __init__(self, why: str, after: float = 0.0) -> None:
        super().__init__(why)
        self.after = after
        self.never = why in _NEVER


def connect(address: Address, timeout: float) -> socket.socket:
    """A socket to the server, TLS spoken where the address says so.

    Raises UsageError where the server is not the one that the address names, AwayError where there is none now.
    """
    end = time.monotonic() + timeout
    raw = _reach(address, timeout)
    if not address.secure:
        return raw
    try:
        return _secured(raw, address, max(end - time.monotonic(), 0.001))
    except ssl.SSLCertVerificationError as error:
        raise UsageError(_not_vouched(address, error, timeout)) from None
    except (OSError, ValueError) as error:
        raise AwayError(reason(error)) from None
    finally:
        raw.close()  # wrapping has taken it over


def _reach(address: Address, timeout: float) -> socket.socket:
    proxy = address.proxy
    try:
        if proxy is None:
            found = socket.create_connection((address.host, address.port), timeout)
        else:
            socks = Socks(ProxyType.SOCKS5, proxy.host, proxy.port, proxy.user, proxy.password, rdns=True)
            found = socks.connect(address.host, address.port, timeout)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except ProxyConnectionError:
        raise UsageError(
            f"{address.place}: its proxy {proxy.place if proxy else ''} does not answer; is it running?"
        ) from None
    except ProxyTimeoutError:
        raise AwayError("its proxy does not answer in time") from None
    except ProxyError as error:
        raise AwayError(f"its proxy says: {one_line(str(error), 100) or 'no'}") from None
    except AssertionError:  # it asks for a password that the address does not have
        raise AwayError("its proxy wants a user and a password") from None
    except (OSError, ValueError) as error:
        raise AwayError(reason(error)) from None
    return found


def _secured(raw: socket.socket, address: Address, timeout: float) -> socket.socket:
    context = _unchecked() if address.pin else ssl.create_default_context()
    raw.settimeout(timeout)
    wrapped = context.wrap_socket(raw, server_hostname=address.host, suppress_ragged_eofs=False)
    if address.pin:
        shown = _fingerprint(wrapped)
        if not hmac.compare_digest(shown, address.pin):
            wrapped.close()
            raise UsageError(
                f"{address.place}: its certificate is not the pinned one: sha256 {shown.hex()} instead of "
                f"{address.pin.hex()}; somebody may stand between, or the server has a new one"
            )
    return wrapped


def _unchecked() -> ssl.SSLContext:
    """For a certificate that is compared with its pin, or only shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _fingerprint(wrapped: ssl.SSLSocket) -> bytes:
    return sha256(wrapped.getpeercert(binary_form=True) or b"").digest()


def _not_vouched(address: Address, error: ssl.SSLCertVerificationError, timeout: float) -> str:
    why = one_line(error.verify_message or "not good", 100)
    advice = "name a server whose certificate is good"
    with suppress(OSError, ValueError, AwayError, UsageError), _reach(address, timeout) as raw:
        raw.settimeout(timeout)
        with _unchecked().wrap_socket(raw, server_hostname=address.host) as wrapped:
            shown = _fingerprint(wrapped).hex()
            advice = f"if its owner says that it is the server's, add #sha256={shown} to the address"
    return f"{address.place}: no authority vouches for its certificate ({why}); {advice}"


def reason(error: BaseException) -> str:
    """Why a connection failed, in a few words."""
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return _NEVER[0]
    if isinstance(error, socket.gaierror | UnicodeError):
        return _NEVER[1]
    if isinstance(error, ConnectionError | EOFError | ssl.SSLEOFError):
        return "it cut the connection"
    if isinstance(error, ssl.SSLError):
        return f"TLS fails ({one_line(error.reason or 'unknown reason', 60)}); does it speak TLS there?"
    return one_line(f"no connection ({getattr(error, 'strerror', None) or type(error).__name__})", 120)


class Timed:
    """A socket whose exchanges end by a deadline, however slowly bytes drip; what `http.client` needs of a socket."""

    def __init__(self, found: socket.socket) -> None:
        self._socket = found
        self.deadline = 0.0
        """By `time.monotonic()`."""

    def sendall(self, data: bytes) -> None:
        """All of it, or TimeoutError."""
        self._wait()
        self._socket.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        """For reading."""
        return io.BufferedReader(_Reading(self), 1 << 16)

    def receive_into(self, buffer: memoryview) -> int:
        """Some bytes; 0 where there are no more."""
        self._wait()
        return self._socket.recv_into(buffer)

    def quiet(self) -> bool:
        """Whether nothing came since, not even the end: else it can serve no further request."""
        try:
            self._socket.settimeout(0)
            self._socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except (OSError, ValueError):
            return False
        return False

    def cut(self) -> None:
        """End what another thread waits for."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Nothing: `http.client` says so before the last answer was read."""

    def hang_up(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _wait(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)


class _Reading(io.RawIOBase):
    def __init__(self, timed: Timed) -> None:
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._timed.receive_into(buffer)
