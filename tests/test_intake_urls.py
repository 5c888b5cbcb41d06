"""Which addresses are asked, and what is taken from them: policy on text, on numbers, on redirects, on bytes."""

import hashlib
import http.client
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fake_host import Host, serving
from hypothesis import given
from hypothesis import strategies as st

from mitobench.errors import FetchError, IntakeError, IntegrityError, MitobenchError
from mitobench.intake import fetch
from mitobench.intake.fetch import check_link, fetch_file
from mitobench.intake.urls import HOSTS, check_url, public_numbers

PUBLIC = "93.184.216.34"
BODY = bytes(range(256)) * 40
SHA = hashlib.sha256(BODY).hexdigest()
URL = "https://zenodo.org/records/1/files/p.zip?download=1"


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        (URL, "zenodo.org", "/records/1/files/p.zip?download=1"),
        ("https://Zenodo.org", "zenodo.org", "/"),
        ("https://cdn.hf.co:443/x", "cdn.hf.co", "/x"),
        ("https://a.b.s3.amazonaws.com/x#part", "a.b.s3.amazonaws.com", "/x"),
    ],
)
def test_good_addresses(url: str, host: str, target: str) -> None:
    """What is on the list passes, whatever its case; the fragment stays here."""
    address = check_url(url)
    assert (address.host, address.target) == (host, target)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://zenodo.org/x", "not https"),
        ("ftp://zenodo.org/x", "not https"),
        ("file:///etc/passwd", "not https"),
        ("//zenodo.org/x", "not https"),
        ("https://zenodo.org@169.254.169.254/x", "user name"),
        ("https://user:word@zenodo.org/x", "user name"),
        ("https://zenodo.org:8443/x", "port"),
        ("https://zenodo.org:/x", "port"),
        ("https://zenodo.org:99999/x", "cannot be read"),
        ("https://127.0.0.1/x", "number for a host"),
        ("https://2130706433/x", "number for a host"),
        ("https://0x7f000001/x", "number for a host"),
        ("https://0x7f.1/x", "number for a host"),
        ("https://0177.0.0.1/x", "number for a host"),
        ("https://127.1./x", "number for a host"),
        ("https://[::1]/x", "number for a host"),
        ("https://[::ffff:169.254.169.254]/x", "number for a host"),
        ("https://[::1/x", "cannot be read"),
        ("https://localhost/x", "not on the list"),
        ("https://evil.example/zenodo.org", "not on the list"),
        ("https://zenodo.org.evil.example/x", "not on the list"),
        ("https://evilzenodo.org/x", "not on the list"),
        ("https://zenodo.org./x", "not on the list"),
        ("https://hf.co/x", "not on the list"),
        ("https://.hf.co/x", "not on the list"),
        ("https://evil.example\\@zenodo.org/x", "characters"),
        ("https://zenodo.org/x y", "characters"),
        ("https://zenodo.org/\nx", "characters"),
        ("https://z\u0435nodo.org/x", "characters"),
        ("https://zenodo.org/" + "x" * 2000, "characters"),
        ("", "not https"),
    ],
)
def test_bad_addresses(url: str, said: str) -> None:
    """Each trick is refused with its reason."""
    with pytest.raises(IntakeError, match=said):
        check_url(url)


@given(
    st.text("aZ0.:/@[]\\%?#-x1 \n\u0435\u202e", max_size=24),
    st.sampled_from(["", "https://", "https://zenodo.org", "https://a@"]),
)
def test_any_text_is_taken_or_refused(text: str, start: str) -> None:
    """No text makes the policy fail otherwise; whatever passes names a host on the list and nobody's login."""
    try:
        address = check_url(start + text)
    except IntakeError:
        return
    parts = urlsplit(address.url)
    assert parts.hostname == address.host
    assert parts.username is None
    assert any(address.host == name or address.host.endswith(name.lstrip("*")) for name in HOSTS)


@pytest.mark.parametrize(
    "number",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "ff02::1",
        "not a number",
    ],
)
def test_numbers_inside_a_network_are_refused(number: str) -> None:
    """One such number among public ones is enough."""
    with pytest.raises(IntakeError, match="no public machine"):
        public_numbers("zenodo.org", resolve=lambda _: [PUBLIC, number])


def test_public_numbers_pass() -> None:
    """A host of public numbers gives them, in order; one that stands for nothing is refused."""
    numbers = [PUBLIC, "2606:2800:220:1:248:1893:25c8:1946"]
    assert public_numbers("zenodo.org", resolve=lambda _: numbers) == numbers
    with pytest.raises(IntakeError, match="no number"):
        public_numbers("zenodo.org", resolve=lambda _: [])


def test_an_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that the system cannot look up is told as such."""

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror("unknown")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(IntakeError, match="cannot be looked up"):
        public_numbers("zenodo.org")


class Local:
    """Sends every request to the host on this machine and keeps what was asked of whom."""

    def __init__(self, host: Host) -> None:
        self.port = urlsplit(host.url).port
        self.asked: list[tuple[str, str]] = []
        self.names: list[str] = []

    def connect(self, host: str, number: str) -> http.client.HTTPConnection:
        self.asked.append((host, number))
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def resolve(self, host: str) -> list[str]:
        self.names.append(host)
        return [PUBLIC]

    @property
    def how(self) -> dict[str, Any]:
        return {"connect": self.connect, "resolve": self.resolve}


@pytest.fixture
def host() -> Iterator[Host]:
    with serving(BODY) as found:
        yield found


def test_a_file_arrives(host: Host, tmp_path: Path) -> None:
    """The bytes are there, under their name alone; the host was asked by its checked number, without credentials."""
    local = Local(host)
    target = fetch_file(URL, tmp_path / "new" / "p.zip", sha256=SHA, **local.how)
    assert target.read_bytes() == BODY
    assert list(target.parent.iterdir()) == [target]
    assert local.asked == [("zenodo.org", PUBLIC)]
    assert not {"authorization", "cookie"} & set(host.seen[0])
    assert host.seen[0]["path"] == "/records/1/files/p.zip?download=1"


@pytest.mark.parametrize(
    ("mode", "error", "said"),
    [
        ("redirect:https://169.254.169.254/latest/meta-data", IntakeError, "number for a host"),
        ("redirect:http://zenodo.org/x", IntakeError, "not https"),
        ("redirect:https://evil.example/x", IntakeError, "not on the list"),
        ("redirect:https://u:p@zenodo.org/x", IntakeError, "user name"),
        ("redirect:file:///etc/passwd", IntakeError, "not https"),
        ("claim:99999999", IntakeError, "99999999 bytes"),
        ("endless", IntakeError, "sends more than"),
        ("gzip", IntakeError, "packed with gzip"),
        ("cut:100", FetchError, "ended after 100 of 10240"),
        ("no-length-cut:100", IntegrityError, "has sha256"),
        ("status:404", FetchError, "answers 404"),
        ("status:500", FetchError, "answers 500"),
    ],
)
def test_what_is_not_taken_leaves_nothing(
    host: Host, tmp_path: Path, mode: str, error: type[MitobenchError], said: str
) -> None:
    """Every trick ends in one sentence, and no file stays."""
    host.modes = [mode]
    with pytest.raises(error, match=said):
        fetch_file(URL, tmp_path / "p.zip", sha256=SHA, max_bytes=20_000, **Local(host).how)
    assert list(tmp_path.iterdir()) == []


def test_good_redirects_are_followed(host: Host, tmp_path: Path) -> None:
    """Each hop is looked up and checked like the first; a loop ends."""
    host.modes = ["redirect:https://cdn.hf.co/a", "redirect:/b"]
    local = Local(host)
    fetch_file(URL, tmp_path / "p.zip", sha256=SHA, **local.how)
    assert local.names == ["zenodo.org", "cdn.hf.co", "cdn.hf.co"]
    host.modes = ["redirect:/a"] * 9
    with pytest.raises(IntakeError, match="redirects more than 5 times"):
        fetch_file(URL, tmp_path / "q.zip", sha256=SHA, **Local(host).how)


def test_a_host_that_moves_inside_is_refused(host: Host, tmp_path: Path) -> None:
    """A name may stand for a public number first and for one of ours on the next hop."""
    host.modes = ["redirect:https://zenodo.org/again"]
    answers = [[PUBLIC], ["10.0.0.1"]]
    with pytest.raises(IntakeError, match=r"10\.0\.0\.1"):
        fetch_file(
            URL,
            tmp_path / "p.zip",
            sha256=SHA,
            connect=Local(host).connect,
            resolve=lambda _: answers.pop(0),
        )


def test_other_bytes_the_second_time(host: Host, tmp_path: Path) -> None:
    """A host that serves one file to the reviewer and another to the scorer is found out; the first file stays."""
    how = Local(host).how
    target = fetch_file(URL, tmp_path / "p.zip", sha256=SHA, **how)
    host.content = BODY[::-1]
    with pytest.raises(IntegrityError, match="has sha256"):
        fetch_file(URL, tmp_path / "p.zip", sha256=SHA, **how)
    assert target.read_bytes() == BODY


def test_time_runs_out(host: Host, tmp_path: Path) -> None:
    """A host may not hold the job for ever."""
    with pytest.raises(IntakeError, match="too long"):
        fetch_file(URL, tmp_path / "p.zip", sha256=SHA, max_seconds=-1.0, **Local(host).how)


def test_the_hash_has_to_be_one(tmp_path: Path) -> None:
    """Nothing is asked before it is known what should come."""
    with pytest.raises(IntakeError, match="64 hexadecimal"):
        fetch_file(URL, tmp_path / "p.zip", sha256="")


def test_links(host: Host) -> None:
    """A link is asked for its head alone; a dead one is told."""
    assert check_link(URL, **Local(host).how) == len(BODY)
    host.modes = ["status:404"]
    with pytest.raises(FetchError, match="404"):
        check_link(URL, **Local(host).how)


def test_the_real_connection_goes_to_the_checked_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The socket is opened to the number, and the certificate is held against the name."""
    opened: list[Any] = []

    class Tls:
        def wrap_socket(self, plain: object, *, server_hostname: str) -> object:
            opened.append(server_hostname)
            return plain

    monkeypatch.setattr(socket, "create_connection", lambda place, timeout: opened.append(place))
    connection = fetch._PinnedConnection("zenodo.org", PUBLIC)
    assert connection._tls.check_hostname
    connection._tls = Tls()  # type: ignore[assignment]
    connection.connect()
    assert opened == [(PUBLIC, 443), "zenodo.org"]
