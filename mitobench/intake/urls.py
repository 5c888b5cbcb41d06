"""Which addresses may be asked for a prediction: https, known hosts, public machines. Opens no connection."""

import ipaddress
import socket
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from mitobench.errors import IntakeError

HOSTS = (
    "zenodo.org",
    "huggingface.co",
    "*.huggingface.co",
    "*.hf.co",
    "s3.amazonaws.com",
    "*.s3.amazonaws.com",
    "storage.googleapis.com",
)
"""Hosts with permanent files; `*.` stands for one or more names in front, never for none."""
MAX_LENGTH = 2000
"""Longest address, in characters."""
Resolve = Callable[[str], list[str]]
"""Host name to the numbers it stands for."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """An address that may be asked.

    Attributes:
        url: As given.
        host: Lower case, as the server will be asked to prove it.
        target: Path and query for the request line.
    """

    url: str
    host: str
    target: str


def check_url(url: str, *, hosts: Iterable[str] = HOSTS) -> Address:
    """Refuse an address by its text alone.

    Args:
        url: As somebody wrote it, or as a server redirects to.
        hosts: Allowed hosts, compared with the parsed host and never with a part of the text.

    Raises:
        IntakeError: Not https, a user name or a port, a number in place of a name, a host that is not on the list, or
            characters that parsers read differently.
    """
    if len(url) > MAX_LENGTH or not url.isascii() or any(_is_odd(char) for char in url):
        raise IntakeError(
            f"The address {url[:80]!r} holds characters that have no place in one, or more than {MAX_LENGTH} of them. "
            "Write it in plain ASCII, percent-encoded."
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise IntakeError(f"The address {url!r} cannot be read ({error}). Correct it.") from None
    if parts.scheme != "https":
        raise IntakeError(f"The address {url!r} is not https. Give an https:// address.")
    if "@" in parts.netloc:
        raise IntakeError(f"The address {url!r} carries a user name. Give one that anybody may open without.")
    if port not in (None, 443) or parts.netloc.endswith(":"):
        raise IntakeError(f"The address {url!r} names a port. Give one without.")
    if _is_number(host):
        raise IntakeError(f"The address {url!r} has a number for a host. Give the name of the host.")
    if not any(_fits(host, allowed) for allowed in hosts):
        raise IntakeError(
            f"The host {host!r} of {url!r} is not on the list of hosts with permanent files: {', '.join(hosts)}. "
            "Upload the file to one of them."
        )
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(url=url, host=host, target=target)


def public_numbers(host: str, *, resolve: Resolve | None = None) -> list[str]:
    """The IP numbers of a host, once every one of them is known to be public.

    Whoever connects has to connect to one of these numbers: a name that is resolved again may answer otherwise.

    Args:
        host: Name, from `check_url`.
        resolve: How names are looked up; the system's way when None.

    Raises:
        IntakeError: The name stands for nothing, or for a number inside some network: private, loopback,
            link-local, reserved, multicast, or an IPv4 number of that kind inside an IPv6 one.
    """
    try:
        numbers = (resolve or _resolve)(host)
    except OSError as error:
        raise IntakeError(f"The host {host!r} cannot be looked up ({error}). Try again later.") from None
    inside = [number for number in numbers if not _is_public(number)]
    if inside or not numbers:
        raise IntakeError(
            f"The host {host!r} stands for {', '.join(inside) or 'no number'}, which is no public machine. "
            "Upload the file to a public host."
        )
    return numbers


def _resolve(host: str) -> list[str]:
    found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _is_public(number: str) -> bool:
    try:
        ip = ipaddress.ip_address(number.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        hidden = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if int(ip) >> 32 == _NAT64:
            hidden.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
        if any(one is not None and not _is_global(one) for one in hidden):
            return False
        if ip.ipv4_mapped is not None:
            return True
    return _is_global(ip)


_NAT64 = int(ipaddress.IPv6Address("64:ff9b::")) >> 32


def _is_global(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _is_number(host: str) -> bool:
    """Whether a host is an IP number in any spelling that some resolver takes: dotted, decimal, octal, hex, IPv6."""
    if ":" in host:
        return True
    last = host.rstrip(".").rpartition(".")[2]
    return last.isdigit() or last.startswith("0x")


def _fits(host: str, allowed: str) -> bool:
    if allowed.startswith("*."):
        return host.endswith(allowed[1:]) and len(host) > len(allowed) - 1 and not host.startswith(".")
    return host == allowed


def _is_odd(char: str) -> bool:
    return unicodedata.category(char)[0] in "CZ" or char in "\\<>\"'`{}|^"
