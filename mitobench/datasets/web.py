"""Ask a host for one address: URL policy, redirects, statuses, patience. Writes nothing to disk."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests import Session

from mitobench.errors import FetchError

__all__ = [
    "Absent",
    "NextUrl",
    "Patience",
    "Session",
    "TryAgain",
    "check_url",
    "get_text",
    "new_session",
    "opened",
    "persist",
]
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
MOST_TEXT = 64 << 20  # bytes of a list of files
PROGRESS_THAT_COUNTS = 1 << 20  # bytes after which a broken connection is no reason to lose patience
_RETRY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to keep trying.

    Attributes:
        connect_s: Seconds to wait for a connection.
        stall_s: Seconds without a byte after which a connection counts as dead.
        tries: Failures in a row without real progress before the next URL.
        wait_s: Pause after the first failure; doubles each time.
        longest_wait_s: No pause is longer, whatever the host asks for.
    """

    connect_s: float = 20.0
    stall_s: float = 60.0
    tries: int = 4
    wait_s: float = 1.0
    longest_wait_s: float = 60.0


class TryAgain(Exception):  # noqa: N818 - control flow between download and web
    """This URL may work in a moment."""

    def __init__(self, why: str, *, after_s: float = 0.0) -> None:
        super().__init__(why)
        self.after_s = after_s


class NextUrl(Exception):  # noqa: N818 - control flow between download and web
    """This URL will not work."""


class Absent(NextUrl):
    """The host says that it has no such file."""


def new_session() -> Session:
    """A session that asks for bytes as they are: ranges of packed bodies mean nothing."""
    session = requests.Session()
    session.headers["Accept-Encoding"] = "identity"
    return session


def check_url(url: str, *, allow_http: bool) -> None:
    """Refuse URLs that are not https; http only to this machine, or where the card says there is no other.

    Raises:
        FetchError: Another scheme, no host, or a user name in it.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    plain_is_fine = parts.scheme == "http" and (allow_http or host in LOCAL_HOSTS)
    if not host or parts.username or not (parts.scheme == "https" or plain_is_fine):
        raise FetchError(f"{url} is refused: expected an https URL without a user name.")


def persist(attempt: Callable[[], None], patience: Patience, arrived: Callable[[], int] = lambda: 0) -> None:
    """Try until it works, or until patience ends.

    Args:
        attempt: Raises TryAgain, or an error of requests, when another try may help.
        patience: How often, and how long between.
        arrived: Bytes so far; a try that brought many does not count as a failure in a row.

    Raises:
        NextUrl: Patience ended; says why the last try failed.
    """
    failed = 0
    while True:
        before = arrived()
        try:
            attempt()
        except (TryAgain, requests.RequestException, urllib3.exceptions.HTTPError) as error:
            failed = 1 if arrived() - before >= PROGRESS_THAT_COUNTS else failed + 1
            if failed >= patience.tries:
                raise NextUrl(f"{_short(error)} ({failed} tries)") from error
            pause = max(patience.wait_s * 2 ** (failed - 1), getattr(error, "after_s", 0.0))
            time.sleep(min(pause, patience.longest_wait_s))
        else:
            return


def get_text(session: Session, url: str, *, patience: Patience, allow_http: bool = False) -> str:
    """A short text, such as a list of files, as UTF-8.

    Raises:
        FetchError: It could not be had, or it is far too long; the message quotes the URL.
    """
    body = bytearray()

    def attempt() -> None:
        body.clear()
        with opened(session, url, patience=patience, allow_http=allow_http, pages=True) as response:
            length = response.headers.get("Content-Length", "")
            for chunk in response.iter_content(1 << 16):
                body.extend(chunk)
                if len(body) > MOST_TEXT:
                    raise NextUrl(f"it sends more than {MOST_TEXT} bytes, too much for a list of files")
            if length.isdigit() and int(length) != len(body):
                raise TryAgain(f"the connection ended after {len(body)} of {length} bytes")

    try:
        persist(attempt, patience)
    except NextUrl as error:
        raise FetchError(f"{url}: {error}") from error
    return body.decode("utf-8", errors="replace")


@contextmanager
def opened(
    session: Session,
    url: str,
    *,
    patience: Patience,
    allow_http: bool = False,
    headers: dict[str, str] | None = None,
    pages: bool = False,
) -> Iterator[requests.Response]:
    """The final response after redirects, each of which has to pass the URL policy.

    Args:
        session: Asks.
        url: What for.
        patience: How long to wait.
        allow_http: Whether plain http will do.
        headers: Sent along.
        pages: Whether a web page is a good answer.

    Raises:
        TryAgain: It may work in a moment.
        NextUrl: It will not work; Absent where the host has no such file.
    """
    hop = url
    for _ in range(8):
        try:
            check_url(hop, allow_http=allow_http)
        except FetchError as error:
            raise NextUrl(str(error)) from error
        with session.get(
            hop,
            headers=headers,
            stream=True,
            allow_redirects=False,
            timeout=(patience.connect_s, patience.stall_s),
        ) as response:
            if response.is_redirect:
                hop = urljoin(hop, response.headers["Location"])
                continue
            _check_status(response, pages)
            yield response
            return
    raise NextUrl("it redirects without end")


def _check_status(response: requests.Response, pages: bool) -> None:
    status = response.status_code
    if status in _RETRY:
        wait = response.headers.get("Retry-After", "")
        raise TryAgain(f"HTTP {status}", after_s=float(wait) if wait.isdigit() else 0.0)
    if status not in {200, 206, 416}:
        raise (Absent if status in {404, 410} else NextUrl)(f"HTTP {status}")
    if not pages and "text/html" in response.headers.get("Content-Type", "").lower():
        raise NextUrl("it answered with a web page instead of the file")


def _short(error: Exception) -> str:
    """One line for people; the texts of requests are long and repeat the URL."""
    text = str(error)
    known = (
        ("NameResolutionError", "the host was not found; is there a network?"),
        ("ConnectTimeout", "the host did not answer in time"),
        ("Read timed out", "the host fell silent"),
        ("Connection refused", "the host refuses connections"),
        ("CERTIFICATE_VERIFY_FAILED", "the host's certificate cannot be verified"),
    )
    for sign, words in known:
        if sign in text:
            return words
    return text.split("\n", 1)[0][:200] or type(error).__name__
