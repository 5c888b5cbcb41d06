"""Remote folders: lists that are checked, files that are resumed, retried, recorded and verified."""

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fake_site import Site, site

from mitobench.datasets.archives import Published, why_not
from mitobench.datasets.fetch import plan_file
from mitobench.datasets.folder import AT_ONCE, bring_folder
from mitobench.datasets.folder_journal import Journal
from mitobench.datasets.listing import s3_page
from mitobench.datasets.remote import Listing, RemoteFile
from mitobench.datasets.web import Patience
from mitobench.errors import BadInputError, FetchError, IntegrityError

QUICK = Patience(connect_s=20, stall_s=20, tries=2, wait_s=0.01)
FILES = {f"data/images/a {number}.tiff": b"%d " % number * 40_000 for number in (1, 2, 10)}


@pytest.fixture
def host() -> Iterator[Site]:
    """A site with three files and some that are not meant."""
    with site({**FILES, "data/images/readme.txt": b"no", "data/images/sub/a 3.tiff": b"no"}) as running:
        yield running


def html(host: Site) -> RemoteFile:
    return RemoteFile(
        name="images",
        urls=(f"{host.url}data/images/",),
        kind="folder",
        listing=Listing(kind="html"),
        patterns=("images/*.tiff",),
    )


def arrived(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*.tiff")}


WANTED = {name.rsplit("/", 1)[1]: data for name, data in FILES.items()}


def other_kinds(host: Site, kind: str) -> RemoteFile:
    """The same folder by another kind of list."""
    file = html(host)
    if kind == "html":
        return file
    if kind == "s3":
        host.page_keys = 2
        url = f"{host.url}?list-type=2&prefix=data/images/"
        return replace(file, urls=(url,), listing=Listing(kind="s3"))
    names = [name.removeprefix("data/") for name in FILES]
    if kind == "tsv":
        rows = ["\ufeffimage\tnote", *(f"{name.split('/')[1]}\tx" for name in names)]
        host.files["data/images/list.tsv"] = "\n".join(rows).encode()
        return replace(
            file,
            urls=(f"{host.url}data/images/list.tsv",),
            listing=Listing(kind="tsv", columns=("image",)),
        )
    items = [{"path": name.split("/")[1]} for name in names]
    host.files["lists/list.json"] = json.dumps({"files": items}).encode()
    listing = Listing(kind="json", columns=("path",), base=f"{host.url}data/images/")
    return replace(file, urls=(f"{host.url}lists/list.json",), listing=listing)


@pytest.mark.parametrize("kind", ["html", "s3", "tsv", "json"])
def test_a_folder_arrives_by_its_list(host: Site, tmp_path: Path, kind: str) -> None:
    """Whatever the list, the files that the card means arrive, others are not asked for; all are recorded."""
    file = other_kinds(host, kind)
    told: list[tuple[int, int, str]] = []
    bring_folder(file, tmp_path / "images", patience=QUICK, progress=lambda *now: told.append(now))
    assert arrived(tmp_path / "images") == WANTED
    assert sorted(path for path in host.asked if "list." not in path) == sorted(
        name.replace(" ", "%20") for name in FILES
    )
    total = sum(map(len, WANTED.values()))
    assert max(told)[0] == total
    if kind == "s3":
        assert told[-1][1] == total
        assert sum("continuation-token" in path for path in host.seen) == 2
    check = subprocess.run(
        ["sha256sum", "--check", "--quiet", "../images.sha256"], cwd=tmp_path / "images", check=False
    )
    assert check.returncode == 0
    with Published({file: tmp_path / "images"}) as files:
        assert files.names("images/*.tiff") == [f"images/{name}" for name in WANTED]
        assert [files.read(f"images/{name}") for name in WANTED] == list(WANTED.values())
        lines = [f"{hashlib.sha256(WANTED[name]).hexdigest()}  images/{name}\n" for name in sorted(WANTED)]
        assert files.seen == {"images": hashlib.sha256("".join(lines).encode()).hexdigest()}
        assert files.unpinned(files.seen) == ["images"]


def test_a_pinned_folder_has_to_have_its_hash(host: Site, tmp_path: Path) -> None:
    """The hash of all hashes, as for an archive with patterns."""
    file = html(host)
    bring_folder(file, tmp_path / "images", patience=QUICK)
    with Published({file: tmp_path / "images"}) as files:
        pinned = replace(file, sha256=files.seen["images"])
    Published({pinned: tmp_path / "images"})
    with pytest.raises(IntegrityError, match="the card says 000"):
        Published({replace(file, sha256="0" * 64): tmp_path / "images"})


def test_a_second_run_asks_nothing(host: Site, tmp_path: Path) -> None:
    """What is complete is complete."""
    bring_folder(html(host), tmp_path / "images", patience=QUICK)
    host.seen.clear()
    bring_folder(html(host), tmp_path / "images", patience=QUICK)
    assert host.seen == []


def test_a_broken_run_is_continued(host: Site, tmp_path: Path) -> None:
    """Files that arrived are not asked for again, and half of one is continued."""
    name = "data/images/a 2.tiff"
    host.faults[name] = ["cut:70000", "status:500", "status:500"]
    once = replace(QUICK, tries=1)
    with pytest.raises(FetchError, match="ended after"):
        bring_folder(html(host), tmp_path / "images", patience=once)
    assert "has not finished" in str(why_not(html(host), tmp_path / "images"))
    plan = plan_file(html(host), given=None, folders=[], downloads=tmp_path)
    assert (plan.action, plan.path) == ("download", tmp_path / "images")
    host.faults.clear()
    done = set(Journal(tmp_path / "images").files)
    host.seen.clear()
    bring_folder(html(host), tmp_path / "images", patience=once)
    assert arrived(tmp_path / "images") == WANTED
    assert not {path for path in host.asked if path.rsplit("/", 1)[1].replace("%20", " ") in done}
    plan = plan_file(html(host), given=None, folders=[], downloads=tmp_path)
    assert (plan.action, plan.path) == ("take", tmp_path / "images")


CHILD = """
import sys
from pathlib import Path
from mitobench.datasets.folder import bring_folder
from mitobench.datasets.remote import Listing, RemoteFile
url, folder = sys.argv[1:]
file = RemoteFile(
    name="images", urls=(url,), kind="folder", listing=Listing(kind="html"), patterns=("images/*.tiff",)
)
bring_folder(file, Path(folder))
"""


@pytest.mark.parametrize("lines", [1, 9])
def test_a_killed_run_is_continued(host: Site, tmp_path: Path, lines: int) -> None:
    """Whenever it dies: what its record says is there and right, and the next run brings the rest."""
    host.files |= {f"data/images/b{number}.tiff": b"%d" % number * 9000 for number in range(20)}
    host.free = lines + AT_ONCE
    folder = tmp_path / "images"
    child = subprocess.Popen([sys.executable, "-c", CHILD, f"{host.url}data/images/", str(folder)])
    record = tmp_path / "images.sha256"
    while not (record.is_file() and record.read_text().count("\n") >= lines):
        assert child.poll() is None
        time.sleep(0.01)
    child.kill()
    child.wait()
    done = dict(Journal(folder).files)
    assert lines <= len(done) < 23
    for name, sha256 in done.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256
    host.seen.clear()
    host.free = 1 << 30
    bring_folder(html(host), folder, patience=QUICK)
    asked = {path.rsplit("/", 1)[1].replace("%20", " ") for path in host.asked}
    assert len(asked) == len(host.asked)
    assert not asked & set(done)
    # A file may be whole already when its line is not yet written, and is then not asked for either.
    assert 23 - len(done) - AT_ONCE <= len(asked) <= 23 - len(done)
    assert arrived(folder) == {
        name.rsplit("/", 1)[1]: host.files[name]
        for name in host.files
        if ".tiff" in name and "/sub/" not in name
    }
    with Published({html(host): folder}) as files:
        assert len(files.names("images/*.tiff")) == 23


def test_busy_hosts_are_asked_again(host: Site, tmp_path: Path) -> None:
    """One try is not all, for the list neither."""
    host.faults = {"data/images/": ["status:503"], "data/images/a 1.tiff": ["status:429"]}
    bring_folder(html(host), tmp_path / "images", patience=QUICK)
    assert arrived(tmp_path / "images") == WANTED


def test_a_lost_or_changed_file_is_noticed_and_brought_again(host: Site, tmp_path: Path) -> None:
    """The record of the first download speaks; another file under that name is refused."""
    file, folder = html(host), tmp_path / "images"
    bring_folder(file, folder, patience=QUICK)
    (folder / "a 2.tiff").write_bytes(b"rot")
    with pytest.raises(IntegrityError, match=r"a 2\.tiff has sha256"):
        Published({file: folder})
    (folder / "a 2.tiff").unlink()
    host.seen.clear()
    bring_folder(file, folder, patience=QUICK)
    assert host.asked == ["data/images/a%202.tiff"]
    assert arrived(folder) == WANTED
    (folder / "a 2.tiff").unlink()
    host.files["data/images/a 2.tiff"] = b"changed on the host"
    with pytest.raises(FetchError, match="the card says"):
        bring_folder(file, folder, patience=QUICK)


def test_a_torn_record_is_mended(host: Site, tmp_path: Path) -> None:
    """A kill in the middle of a line loses that line only."""
    file, folder = html(host), tmp_path / "images"
    bring_folder(file, folder, patience=QUICK)
    record = tmp_path / "images.sha256"
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(lines[:2]) + lines[2][:30])
    bring_folder(file, folder, patience=QUICK)
    assert Journal(folder).complete
    assert len(Journal(folder).files) == 3
    with Published({file: folder}) as files:
        assert len(files.names("images/*.tiff")) == 3


def test_files_come_a_few_at_a_time(host: Site, tmp_path: Path) -> None:
    """Never more than a polite number of connections."""
    host.files |= {f"data/images/b{number}.tiff": b"x" for number in range(3 * AT_ONCE - len(FILES))}
    host.gate = threading.Barrier(AT_ONCE)
    bring_folder(html(host), tmp_path / "images", patience=QUICK)
    assert host.most == AT_ONCE


@pytest.mark.parametrize(
    "link",
    [
        "../../../evil.tiff",
        "..%2f..%2fevil.tiff",
        "/etc/evil.tiff",
        "http://example.com/evil.tiff",
        "//example.com/data/images/evil.tiff",
        "javascript:evil.tiff",
        "C:\\evil.tiff",
        "a\\..\\evil.tiff",
        "evil.tiff?x=1",
        "evil.exe",
        "",
    ],
)
def test_hostile_links_are_not_followed(host: Site, tmp_path: Path, link: str) -> None:
    """Other hosts, parents, drives and names that the card does not mean."""
    host.files["data/images/"] = f'<html><a href="{link}">x</a><a href="a%201.tiff">x</a></html>'.encode()
    bring_folder(html(host), tmp_path / "down" / "images", patience=QUICK)
    assert host.asked == ["data/images/a%201.tiff"]
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "a 1.tiff",
        "down",
        "images",
        "images.sha256",
    ]


def test_hostile_rows_and_keys_are_not_followed(host: Site, tmp_path: Path) -> None:
    """The same for tables and buckets."""
    file = other_kinds(host, "tsv")
    rows = [
        "image\tnote",
        "../evil.tiff\tx",
        "/evil.tiff\tx",
        "https://example.com/evil.tiff\tx",
        "a 1.tiff\tx",
    ]
    host.files["data/images/list.tsv"] = "\n".join(rows).encode()
    bring_folder(file, tmp_path / "images", patience=QUICK)
    assert list(arrived(tmp_path / "images")) == ["a 1.tiff"]
    host.files["data/images/../evil.tiff"] = b"evil"
    bring_folder(other_kinds(host, "s3"), tmp_path / "s3" / "images", patience=QUICK)
    assert list(tmp_path.rglob("evil*")) == []


def test_too_many_files_are_refused(host: Site, tmp_path: Path) -> None:
    """A list without end fills no disk."""
    file = replace(html(host), listing=Listing(kind="html", most_files=3))
    with pytest.raises(FetchError, match="more than 3 files"):
        bring_folder(file, tmp_path / "images", patience=QUICK)
    assert host.asked == []


def test_a_bucket_that_turns_in_circles_is_left(host: Site, tmp_path: Path) -> None:
    """The same page again and again."""
    page = (
        "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken>"
        "</ListBucketResult>"
    )
    host.files["loop"] = page.encode()
    file = replace(html(host), urls=(f"{host.url}loop?x=1",), listing=Listing(kind="s3"))
    with pytest.raises(FetchError, match="same page again"):
        bring_folder(file, tmp_path / "images", patience=QUICK)


@pytest.mark.parametrize("text", ["", "<html></html>", '<!DOCTYPE x [<!ENTITY a "b">]><ListBucketResult/>'])
def test_other_answers_are_no_bucket(text: str) -> None:
    """Entities, which could blow up, least of all."""
    with pytest.raises(FetchError, match="list of a bucket"):
        s3_page(text, "https://x.org")


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("tsv", "other\tcolumns\n1\t2\n", "no column 'image'"),
        ("json", "[{}]", "not the JSON list"),
        ("json", "{", "not the JSON list"),
        ("json", '[{"path": 3}]', "not the JSON list"),
        ("html", "<html>nothing</html>", "nothing that fits"),
    ],
)
def test_lists_that_changed_are_told(host: Site, tmp_path: Path, kind: str, text: str, message: str) -> None:
    """One message with the URL and what was expected."""
    file = other_kinds(host, kind)
    place = {"tsv": "data/images/list.tsv", "json": "lists/list.json", "html": "data/images/"}[kind]
    host.files[place] = text.encode()
    with pytest.raises(FetchError, match=message):
        bring_folder(file, tmp_path / "images", patience=QUICK)


def test_the_same_layout_is_taken_from_disk(host: Site, tmp_path: Path) -> None:
    """--from FOLDER needs no record; with one, files that differ are named."""
    folder = tmp_path / "mine" / "images"
    folder.mkdir(parents=True)
    for name, data in WANTED.items():
        (folder / name).write_bytes(data)
    for given in (tmp_path / "mine", folder):
        plan = plan_file(html(host), given=given, folders=[], downloads=tmp_path / "no")
        assert (plan.action, plan.path) == ("take", folder)
    plan = plan_file(html(host), given=None, folders=[tmp_path / "mine"], downloads=tmp_path / "no")
    assert plan.path == folder
    (folder / "link.tiff").symlink_to("/etc/passwd")
    with Published({html(host): folder}) as files:
        assert files.names("images/*.tiff") == [f"images/{name}" for name in WANTED]
    assert host.seen == []


def test_a_card_says_how_a_folder_is_found() -> None:
    """No list, or patterns of another folder."""
    for wrong in ({}, {"listing": Listing(kind="html"), "patterns": ("other/*.tiff",)}):
        with pytest.raises(BadInputError, match="is a folder"):
            RemoteFile(name="images", urls=(), kind="folder", **({"patterns": ("images/*.tiff",)} | wrong))
