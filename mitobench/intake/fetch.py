"""Fetch one file from a stranger's address: checked at every hop, capped, hashed while it comes. No credentials.

Whoever scores has to score the file that this wrote: what the address gives a second time may be another one.
"""

import contextlib
import hashlib
import http.client
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import urljoin

from mitobench.errors import FetchError, IntakeError, IntegrityError
from mitobench.intake.urls import HOSTS, Address, Resolve, check_url, public_numbers
from mitobench.replacing import replacing
from mitobench.segmenter import Progress, no_progress

MAX_BYTES = 8 << 30
"""Largest file that is fetched."""
MAX_SECONDS = 3600.0
"""Longest time that one file may take, whole."""
MAX_REDIRECTS = 5
STALL_S = 60.0
"""Seconds without a byte after which the connection counts as dead."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 1 << 18
_SHA256 = re.compile(r"[0-9a-f]{64}")
Connect = Callable[[str, str], http.client.HTTPConnection]
"""(host, IP number) to a connection to that number, on which the server proves to be that host."""


class _PinnedConnection(http.client.HTTPSConnection):
    """https to one IP number; the certificate is held against the name."""

    def __init__(self, host: str, number: str) -> None:
        super().__init__(host, 443, timeout=STALL_S)
        self._number = number
        self._tls = ssl.create_default_context()

    def connect(self) -> None:
        """Open the socket to the number that was checked, not to what the name says by now."""
        plain = socket.create_connection((self._number, 443), STALL_S)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)


def fetch_file(
    url: str,
    target: Path,
    *,
    sha256: str,
    max_bytes: int = MAX_BYTES,
    max_seconds: float = MAX_SECONDS,
    hosts: Iterable[str] = HOSTS,
    resolve: Resolve | None = None,
    connect: Connect = _PinnedConnection,
    progress: Progress = no_progress,
) -> Path:
    """Bring one file to `target`, or nothing.

    Args:
        url: Where it is said to lie.
        target: Where it shall be; its folder is made.
        sha256: What its bytes have to hash to.
        max_bytes: Most bytes that are taken; a header that promises more is believed at once.
        max_seconds: Longest time.
        hosts: See `urls.check_url`; holds for redirects too.
        resolve: See `urls.public_numbers`.
        connect: How a connection is made.
        progress: Told (bytes done, bytes in all or 0, "download <name>").

    Returns:
        The target: the very bytes that were hashed.

    Raises:
        IntakeError: An address, size or packing that is not taken.
        IntegrityError: Another hash.
        FetchError: The host did not answer with the file.
    """
    if not _SHA256.fullmatch(sha256):
        raise IntakeError(f"sha256 is {sha256!r}; expected 64 hexadecimal digits.")
    target = Path(target)
    ends = time.monotonic() + max_seconds
    hosts = tuple(hosts)
    try:
        connection, response = _ask(url, "GET", hosts, resolve, connect)
        with replacing(target) as partial:
            with contextlib.closing(connection):
                n_bytes = _promised(response, url, max_bytes)
                found = _receive(
                    response,
                    partial,
                    url=url,
                    max_bytes=max_bytes,
                    promised=n_bytes,
                    ends=ends,
                    progress=lambda done: progress(done, n_bytes or 0, f"download {target.name}"),
                )
            if found != sha256:
                raise IntegrityError(
                    f"What {url} gave has sha256 {found}; the entry says {sha256}. Upload the file that was scored, "
                    "or score the one that is there."
                )
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, FetchError | IntegrityError):
            raise
        raise FetchError(f"{url} could not be fetched ({error!r}). Try again later.") from error
    return target


def check_link(
    url: str,
    *,
    hosts: Iterable[str] = HOSTS,
    resolve: Resolve | None = None,
    connect: Connect = _PinnedConnection,
) -> int | None:
    """Ask whether an address still gives a file, without fetching it.

    Returns:
        Its length in bytes, None where the host does not say.

    Raises:
        IntakeError: An address that is not taken.
        FetchError: The file is not there, or the host does not answer.
    """
    try:
        connection, response = _ask(url, "HEAD", tuple(hosts), resolve, connect)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, FetchError):
            raise
        raise FetchError(f"{url} could not be asked for ({error!r}). Try again later.") from error
    with contextlib.closing(connection):
        length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _ask(
    url: str, method: str, hosts: tuple[str, ...], resolve: Resolve | None, connect: Connect
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """Follow redirects, each hop checked like the first; the answer is the file's."""
    here = url
    for _ in range(MAX_REDIRECTS + 1):
        address = check_url(here, hosts=hosts)
        connection = connect(address.host, public_numbers(address.host, resolve=resolve)[0])
        try:
            response = _request(connection, method, address)
            if response.status == http.HTTPStatus.OK:
                return connection, response
            if response.status not in _REDIRECTS:
                raise FetchError(f"{here} answers {response.status} {response.reason}; expected the file.")
            here = urljoin(here, response.headers.get("Location", ""))
        except BaseException:
            connection.close()
            raise
        connection.close()
    raise IntakeError(
        f"{url} redirects more than {MAX_REDIRECTS} times. Give the address of the file itself."
    )


def _request(
    connection: http.client.HTTPConnection, method: str, address: Address
) -> http.client.HTTPResponse:
    headers = {"Accept-Encoding": "identity", "User-Agent": "mitobench-intake", "Connection": "close"}
    connection.request(method, address.target, headers=headers)
    return connection.getresponse()


def _promised(response: http.client.HTTPResponse, url: str, max_bytes: int) -> int | None:
    packing = response.headers.get("Content-Encoding", "identity").lower()
    if packing not in {"", "identity"}:
        raise IntakeError(f"{url} is sent packed with {packing}; expected the file as it is.")
    length = response.headers.get("Content-Length", "")
    if not length.isdigit():
        return None
    if int(length) > max_bytes:
        raise IntakeError(
            f"{url} has {length} bytes; at most {max_bytes} are taken. Pack the prediction anew."
        )
    return int(length)


def _receive(
    response: http.client.HTTPResponse,
    partial: Path,
    *,
    url: str,
    max_bytes: int,
    promised: int | None,
    ends: float,
    progress: Callable[[int], None],
) -> str:
    """Write the body and hash it on the way; whatever the header said, bytes are counted."""
    digest, done = hashlib.sha256(), 0
    with partial.open("wb") as out:
        while chunk := response.read(_CHUNK):
            done += len(chunk)
            if done > max_bytes:
                raise IntakeError(
                    f"{url} sends more than {max_bytes} bytes, which is the most that is taken."
                )
            if time.monotonic() > ends:
                raise IntakeError(f"{url} takes too long: {done} bytes came before time ran out.")
            digest.update(chunk)
            out.write(chunk)
            progress(done)
    if promised is not None and done != promised:
        raise FetchError(f"{url} ended after {done} of {promised} bytes. Try again later.")
    return digest.hexdigest()
