"""Downloads against a host that cuts, stalls, lies, redirects and changes its mind."""

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_host import Host, serving

from mitobench.datasets.download import download
from mitobench.datasets.partial import Note, Partial
from mitobench.datasets.remote import RemoteFile
from mitobench.datasets.web import Patience, check_url
from mitobench.errors import FetchError

QUICK = Patience(connect_s=20, stall_s=20, tries=3, wait_s=0.01)
ONCE = replace(QUICK, tries=1)


def a_zip(seed: int = 0) -> bytes:
    """A zip of about 900 kB that does not compress."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("top/a.bin", np.random.default_rng(seed).bytes(900_000))
    return buffer.getvalue()


@pytest.fixture
def host() -> Iterator[Host]:
    """A host that serves a zip."""
    with serving(a_zip()) as running:
        yield running


@pytest.fixture
def file(host: Host, tmp_path: Path) -> RemoteFile:
    """That zip as a card would list it."""
    (tmp_path / "list.toml").write_text(f'[members]\n"a.bin" = "{"0" * 64}"\n')
    return RemoteFile(
        name="file.zip", urls=(host.url,), hash_list=tmp_path / "list.toml", about_bytes=1_000_000
    )


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Where it shall be."""
    return tmp_path / "down" / "file.zip"


def names(target: Path) -> list[str]:
    return sorted(child.name for child in target.parent.iterdir())


def test_a_good_host_gives_the_file(host: Host, file: RemoteFile, target: Path) -> None:
    """One request, the exact bytes, no partial file left, progress up to the end."""
    told: list[tuple[int, int, str]] = []
    download(file, target, patience=QUICK, progress=lambda *now: told.append(now))
    assert target.read_bytes() == host.content
    assert names(target) == ["file.zip"]
    assert len(host.seen) == 1
    assert host.seen[0]["accept-encoding"] == "identity"
    assert told[-1] == (len(host.content), len(host.content), "download file.zip")


def test_a_cut_connection_is_continued(host: Host, file: RemoteFile, target: Path) -> None:
    """The next request asks only for the rest, and only if the file is still the same."""
    host.modes = ["cut:327680"]
    download(file, target, patience=QUICK)
    assert target.read_bytes() == host.content
    assert host.seen[1]["range"] == "bytes=327680-"
    assert host.seen[1]["if-range"] == '"one"'


def test_a_broken_run_is_continued_by_the_next(host: Host, file: RemoteFile, target: Path) -> None:
    """What arrived before the failure is kept on disk and used."""
    host.modes = ["cut:524288"]
    with pytest.raises(FetchError, match="ended after 524288 of"):
        download(file, target, patience=ONCE)
    assert (target.parent / "file.zip.part").stat().st_size == 524_288
    download(file, target, patience=ONCE)
    assert target.read_bytes() == host.content
    assert host.seen[1]["range"] == "bytes=524288-"


def test_a_killed_run_with_all_bytes_needs_no_request(host: Host, file: RemoteFile, target: Path) -> None:
    """Killed between the last byte and the renaming: the next run only checks and renames."""
    host.modes = ["cut:524288"]
    with pytest.raises(FetchError):
        download(file, target, patience=ONCE)
    (target.parent / "file.zip.part").write_bytes(host.content)
    download(file, target, patience=ONCE)
    assert target.read_bytes() == host.content
    assert len(host.seen) == 1


CHILD = """
import sys
from pathlib import Path
from mitobench.datasets.remote import RemoteFile
from mitobench.datasets.web import Patience, check_url
from mitobench.datasets.download import download

url, folder = sys.argv[1], Path(sys.argv[2])
download(RemoteFile(name="file.zip", urls=(url,), hash_list=folder / "list.toml"), folder / "down" / "file.zip")
"""


@pytest.mark.parametrize("chunks", [1, 7])
def test_a_killed_download_is_continued(host: Host, file: RemoteFile, target: Path, chunks: int) -> None:
    """kill -9 in the middle: the next run asks for the rest only, and the bytes are right."""
    host.modes = [f"hold:{chunks << 16}"]
    child = subprocess.Popen([sys.executable, "-c", CHILD, host.url, str(target.parent.parent)])
    part = target.parent / "file.zip.part"
    while not (part.exists() and part.stat().st_size >= chunks << 16):
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    host.go_on.set()
    arrived = part.stat().st_size
    assert arrived == chunks << 16 < len(host.content)
    download(file, target, patience=ONCE)
    assert target.read_bytes() == host.content
    assert host.seen[1]["range"] == f"bytes={arrived}-"


@pytest.mark.parametrize("damage", ["", "{", '{"url": 1}', "[]"])
def test_a_damaged_note_means_starting_over(host: Host, file: RemoteFile, target: Path, damage: str) -> None:
    """Bytes of unknown origin are not continued."""
    target.parent.mkdir()
    (target.parent / "file.zip.part").write_bytes(b"junk" * 1000)
    (target.parent / "file.zip.part.json").write_text(damage)
    left = target.parent / ".file.zip.part.json.4242.tmp"
    left.write_text("half a note")
    os.utime(left, (0, 0))
    download(file, target, patience=ONCE)
    assert target.read_bytes() == host.content
    assert "range" not in host.seen[0]
    assert names(target) == ["file.zip"]


def test_a_file_that_changed_is_started_over(host: Host, file: RemoteFile, target: Path) -> None:
    """With If-Range the host sends the whole new file; old and new bytes are never mixed."""
    host.modes = ["cut:327680"]
    with pytest.raises(FetchError):
        download(file, target, patience=ONCE)
    host.content, host.etag = a_zip(seed=1), '"two"'
    download(file, target, patience=QUICK)
    assert target.read_bytes() == host.content


@pytest.mark.parametrize("mode", ["other-etag-206", "wrong-offset-206", "status:416"])
def test_a_host_that_resumes_wrongly_is_started_over(
    host: Host, file: RemoteFile, target: Path, mode: str
) -> None:
    """Another ETag, another offset or "range not satisfiable": drop the part, ask for the whole."""
    host.modes = ["cut:327680", mode]
    download(file, target, patience=QUICK)
    assert target.read_bytes() == host.content
    assert "range" not in host.seen[-1]


def test_without_etag_nothing_is_continued(host: Host, file: RemoteFile, target: Path) -> None:
    """A host that cannot say whether the file is the same is asked for the whole."""
    host.etag, host.modes = "", ["cut:327680"]
    download(file, target, patience=QUICK)
    assert target.read_bytes() == host.content
    assert "range" not in host.seen[1]


def test_a_weak_etag_does_not_count(host: Host, file: RemoteFile, target: Path) -> None:
    """W/ tags promise the same meaning, not the same bytes."""
    host.etag, host.modes = 'W/"one"', ["cut:327680"]
    download(file, target, patience=QUICK)
    assert "range" not in host.seen[1]


def test_a_stalled_connection_is_given_up_and_continued(host: Host, file: RemoteFile, target: Path) -> None:
    """Silence counts as dead after stall_s."""
    host.modes = ["stall:262144"]
    download(file, target, patience=replace(QUICK, stall_s=1.5))
    assert target.read_bytes() == host.content
    assert len(host.seen) == 2


def test_chunks_without_a_length_are_fine(host: Host, file: RemoteFile, target: Path) -> None:
    """GitHub packs on demand and does not know the length."""
    host.modes = ["no-length"]
    download(file, target, patience=ONCE)
    assert target.read_bytes() == host.content


def test_a_cut_without_a_length_is_noticed(host: Host, file: RemoteFile, target: Path) -> None:
    """A zip without its table of contents at the end is incomplete, whatever the host claims."""
    host.modes = ["no-length-cut:400000", "claim:1000"]
    download(file, target, patience=QUICK)
    assert target.read_bytes() == host.content
    host.modes = ["no-length-cut:400000"]
    target.unlink()
    with pytest.raises(FetchError, match=r"400000 bytes.*no complete zip"):
        download(file, target, patience=ONCE)
    assert names(target) == []


def test_a_length_that_is_too_long_is_noticed(host: Host, file: RemoteFile, target: Path) -> None:
    """The connection ends before the claim."""
    host.modes = [f"claim:{len(host.content) + 10}"] * 3
    with pytest.raises(FetchError, match="ended after"):
        download(file, target, patience=QUICK)
    assert not target.exists()


@pytest.mark.parametrize("kind", ["", "application/zip"])
def test_a_web_page_is_refused(host: Host, file: RemoteFile, target: Path, kind: str) -> None:
    """Sign-in pages are recognised by type, or by their first bytes when the type lies; nothing is kept."""
    host.modes = [f"html:{kind}"]
    with pytest.raises(FetchError, match="web page"):
        download(file, target, patience=QUICK)
    assert names(target) == []
    assert len(host.seen) == 1


def test_redirects_are_followed(host: Host, file: RemoteFile, target: Path) -> None:
    """Relative and absolute ones."""
    host.modes = ["redirect:/elsewhere.zip", f"redirect:{host.url}?token=1"]
    download(file, target, patience=ONCE)
    assert [seen["path"] for seen in host.seen] == ["/file.zip", "/elsewhere.zip", "/file.zip?token=1"]


@pytest.mark.parametrize(
    "where", ["http://example.com/a.zip", "ftp://example.com/a.zip", "file:///etc/passwd"]
)
def test_redirects_out_of_the_policy_are_refused(
    host: Host, file: RemoteFile, target: Path, where: str
) -> None:
    """A host cannot send us to plain http, to other schemes or to our own disk."""
    host.modes = [f"redirect:{where}"]
    with pytest.raises(FetchError, match="refused"):
        download(file, target, patience=QUICK)


def test_endless_redirects_end(host: Host, file: RemoteFile, target: Path) -> None:
    """A loop is not followed for ever."""
    host.modes = ["redirect:/again"] * 20
    with pytest.raises(FetchError, match="redirects without end"):
        download(file, target, patience=ONCE)


def test_the_next_url_is_tried(host: Host, file: RemoteFile, target: Path) -> None:
    """404 is final for a URL, not for the file."""
    mirrors = replace(file, urls=(host.url, host.url.replace("file", "mirror")))
    host.modes = ["status:404"]
    download(mirrors, target, patience=QUICK)
    assert target.read_bytes() == host.content
    assert [seen["path"] for seen in host.seen] == ["/file.zip", "/mirror.zip"]


def test_a_mirror_does_not_continue_another_hosts_file(host: Host, file: RemoteFile, target: Path) -> None:
    """Two hosts may pack the same data into different bytes."""
    mirrors = replace(file, urls=(host.url, host.url.replace("file", "mirror")))
    host.modes = ["cut:327680"]
    download(mirrors, target, patience=ONCE)
    assert target.read_bytes() == host.content
    assert host.seen[1]["path"] == "/mirror.zip"
    assert "range" not in host.seen[1]


def test_old_bytes_go_before_the_new_note_comes(tmp_path: Path) -> None:
    """A kill between the two must not leave old bytes under the new note."""
    part = Partial(tmp_path / "a.zip")
    part.path.write_bytes(b"old")
    part.start(Note(url="https://x", validator='"new"', total=3))
    assert (part.size, part.note()) == (0, Note(url="https://x", validator='"new"', total=3))
    part.drop()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_hosts_are_asked_again(host: Host, file: RemoteFile, target: Path, status: int) -> None:
    """Statuses that pass are waited out."""
    host.modes = [f"status:{status}"] * 2
    download(file, target, patience=QUICK)
    assert len(host.seen) == 3


def test_a_body_packed_against_our_wish_is_unpacked(host: Host, file: RemoteFile, target: Path) -> None:
    """Its length is that of the packed bytes, and ranges of it mean nothing: it is never continued."""
    host.modes = ["gzip:300000", "gzip:"]
    download(file, target, patience=QUICK)
    assert target.read_bytes() == host.content
    assert "range" not in host.seen[1]


def test_a_busy_host_says_how_long_to_wait(
    host: Host, file: RemoteFile, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retry-After counts when it is longer than our own pause, up to a limit."""
    slept: list[float] = []
    monkeypatch.setattr("mitobench.datasets.web.time.sleep", slept.append)
    host.modes = ["status:429:7", "status:503:100000", "status:500"]
    download(file, target, patience=replace(QUICK, tries=4))
    assert slept == [7.0, QUICK.longest_wait_s, QUICK.wait_s * 4]


def test_plain_http_after_https_is_refused(host: Host, file: RemoteFile, target: Path) -> None:
    """Even to the same host: nobody shall read or change what was asked for in private."""
    host.modes = ["redirect:http://example.com/file.zip"]
    with pytest.raises(FetchError, match=r"http://example\.com/file\.zip is refused"):
        download(file, target, patience=QUICK)
    assert len(host.seen) == 1


def test_every_failure_is_listed(host: Host, file: RemoteFile, target: Path) -> None:
    """The message names each URL with its reason and says how to go on by hand."""
    both = replace(file, urls=(host.url, "https://127.0.0.1:9/nobody.zip"))
    host.modes = ["status:403"]
    with pytest.raises(
        FetchError, match=r"(?s)file.zip: HTTP 403.*nobody.zip: the host refuses connections.*--from"
    ):
        download(both, target, patience=replace(ONCE, connect_s=0.5))


def test_an_endless_body_is_stopped(
    host: Host, file: RemoteFile, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host without a length cannot fill the disk."""
    monkeypatch.setattr("mitobench.datasets.download.MARGIN", 1_000_000)
    host.modes = ["endless"]
    with pytest.raises(FetchError, match="far beyond"):
        download(file, target, patience=QUICK)
    assert names(target) == []


def test_a_full_disk_is_noticed_before_the_first_byte(
    host: Host, file: RemoteFile, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says how much there is and how much is needed."""
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10_000_000))
    with pytest.raises(FetchError, match=r"0\.01 GB free, but 1\.\d+ GB are needed"):
        download(file, target, spare_bytes=1_000_000_000, patience=QUICK)
    assert names(target) == []


def test_length_on_the_card_is_checked_before_the_body(host: Host, file: RemoteFile, target: Path) -> None:
    """Where the host serves fixed bytes, another length is another file."""
    with pytest.raises(FetchError, match="the card says 17"):
        download(replace(file, n_bytes=17), target, patience=QUICK)


def test_plain_files_are_hashed(host: Host, tmp_path: Path, target: Path) -> None:
    """A file that is not a zip carries its own hash; both hashes are shown when they differ."""
    right = hashlib.sha256(host.content).hexdigest()
    plain = RemoteFile(name="file.zip", urls=(host.url,), kind="plain", sha256=right)
    download(plain, target, patience=ONCE)
    target.unlink()
    with pytest.raises(FetchError, match=f"{right}.*{'f' * 64}"):
        download(replace(plain, sha256="f" * 64), target, patience=ONCE)
    assert names(target) == []


def test_the_note_is_beside_the_part(host: Host, file: RemoteFile, target: Path) -> None:
    """Resuming needs URL, validator and length."""
    host.modes = ["cut:1000"]
    with pytest.raises(FetchError):
        download(file, target, patience=ONCE)
    note = json.loads((target.parent / "file.zip.part.json").read_text())
    assert note == {"url": host.url, "validator": '"one"', "total": len(host.content)}


@pytest.mark.parametrize(
    ("url", "allow_http", "good"),
    [
        ("https://example.com/a.zip", False, True),
        ("http://example.com/a.zip", False, False),
        ("http://example.com/a.zip", True, True),
        ("http://localhost:8000/a", False, True),
        ("http://127.0.0.1/a", False, True),
        ("http://localhost.example.com/a", False, False),
        ("https://user:secret@example.com/a", False, False),
        ("ftp://example.com/a", True, False),
        ("file:///etc/passwd", True, False),
        ("/etc/passwd", True, False),
        ("https:///nohost", False, False),
    ],
)
def test_url_policy(url: str, allow_http: bool, good: bool) -> None:
    """https; http to this machine, or where the card says there is nothing else."""
    if good:
        check_url(url, allow_http=allow_http)
    else:
        with pytest.raises(FetchError, match="refused"):
            check_url(url, allow_http=allow_http)
