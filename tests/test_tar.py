"""Members of tars: read by name in any order, hostile ones never touched, packed ones unpacked once."""

import gzip
import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_host import serving
from fakes import write_tar

from mitobench.arrays import hash_file
from mitobench.datasets.archives import Published, why_not
from mitobench.datasets.download import Patience, download
from mitobench.datasets.remote import RemoteFile
from mitobench.datasets.tar import Tar, drop_unpacked, is_tar
from mitobench.errors import FetchError, IntegrityError

FILES = {f"top/im/{number}.bin": np.random.default_rng(number).bytes(3000 + number) for number in (10, 2, 1)}
ONCE = Patience(connect_s=20, stall_s=20, tries=1, wait_s=0.01)


@pytest.fixture(params=["a.tar", "a.tar.gz"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tar, plain and packed."""
    write_tar(tmp_path / request.param, FILES)
    return tmp_path / request.param


def remote(path: Path, **more: object) -> RemoteFile:
    return RemoteFile(name=path.name, kind="tar", **({"urls": (), "patterns": ("top/im/*.bin",)} | more))


def unpacked(folder: Path) -> list[str]:
    return sorted(child.name for child in folder.iterdir() if "unpacked" in child.name)


def test_members_come_by_pattern_in_natural_order(path: Path, tmp_path: Path) -> None:
    """Read in any order, whole or in parts; the hash of the tar is recorded."""
    with Published({remote(path): path}, scratch=tmp_path / "scratch") as files:
        names = files.names("top/im/*.bin")
        assert names == ["top/im/1.bin", "top/im/2.bin", "top/im/10.bin"]
        assert [files.read(name) for name in reversed(names)] == [FILES[name] for name in reversed(names)]
        with files.open(names[2]) as one, files.open(names[0]) as other:
            one.seek(-7, io.SEEK_END)
            assert one.read() == FILES[names[2]][-7:]
            assert one.read() == b""
            assert other.read(5) == FILES[names[0]][:5]
            one.seek(4)
            assert one.read(3) == FILES[names[2]][4:7]
        assert files.seen == {path.name: hash_file(path)}
        assert files.unpinned(files.seen) == [path.name]
    assert not unpacked(path.parent)


def test_listed_members_carry_their_own_hashes(path: Path, tmp_path: Path) -> None:
    """The folder on top is no part of the listed path; another hash is refused, read whole or in parts."""
    names = [name.removeprefix("top/") for name in FILES]
    hashes = {name: hashlib.sha256(FILES[f"top/{name}"]).hexdigest() for name in names}
    hashes["im/2.bin"] = "0" * 64
    lines = [f'"{name}" = "{sha256}"' for name, sha256 in hashes.items()]
    (tmp_path / "list.toml").write_text("[members]\n" + "\n".join(lines) + "\n")
    file = remote(path, patterns=(), hash_list=tmp_path / "list.toml")
    with Published({file: path}) as files:
        assert files.read("im/1.bin") == FILES["top/im/1.bin"]
        with files.open("im/10.bin") as opened:
            assert opened.read() == FILES["top/im/10.bin"]
        for read in (files.read, files.open):
            with pytest.raises(IntegrityError, match=r"im/2\.bin has sha256"):
                read("im/2.bin")


def test_a_packed_tar_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process or run finds the plain tar; another archive of that name is not mistaken for it."""
    path = tmp_path / "a.tar.gz"
    write_tar(path, FILES)
    told: list[tuple[int, int, str]] = []
    with Published({remote(path): path}, progress=lambda *now: told.append(now)):
        first = unpacked(tmp_path)
    assert len(first) == 1
    assert told[-1] == ((tmp_path / first[0]).stat().st_size, 0, "unpack a.tar.gz")
    with monkeypatch.context() as patched:
        patched.setattr(gzip, "GzipFile", None)
        with Published({remote(path): path}) as files:
            assert files.read("top/im/2.bin") == FILES["top/im/2.bin"]
    write_tar(path, {**FILES, "top/im/3.bin": b"three"})
    with Published({remote(path): path}) as files:
        assert files.read("top/im/3.bin") == b"three"
    (tmp_path / f"{first[0]}.4242.tmp").write_bytes(b"half")
    drop_unpacked(tmp_path)
    assert not unpacked(tmp_path)


def hostile(path: Path, outside: Path) -> None:
    """Everything that a tar can do to somebody who extracts it, before and after the wanted file."""
    with tarfile.open(path, "w") as archive:

        def add(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"evil", link: str = "") -> None:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            info.size = len(data) if kind == tarfile.REGTYPE else 0
            archive.addfile(info, io.BytesIO(data))

        add("../evil.bin")
        add("top/im/../../evil.bin")
        add(str(outside / "absolute.bin"))
        add("top\\im\\evil.bin")
        add("C:evil.bin")
        add("top/im/symlink.bin", tarfile.SYMTYPE, link="/etc/passwd")
        add("top/im/hardlink.bin", tarfile.LNKTYPE, link="/etc/passwd")
        add("top/im/device.bin", tarfile.CHRTYPE)
        add("top/im/pipe.bin", tarfile.FIFOTYPE)
        add("top/im", tarfile.SYMTYPE, link=str(outside))
        add("top/im/1.bin", data=b"wanted")
        add("top/im/1.bin", tarfile.SYMTYPE, link="/etc/passwd")


def test_hostile_members_are_never_touched(tmp_path: Path) -> None:
    """Links, devices and climbing names are not even listed, and nothing appears on disk."""
    path, outside = tmp_path / "a.tar", tmp_path / "outside"
    outside.mkdir()
    hostile(path, outside)
    before = sorted(tmp_path.rglob("*"))
    assert Tar(path, scratch=tmp_path).names == ["top/im/1.bin"]
    with Published({remote(path): path}) as files:
        assert files.names("top/im/*.bin") == ["top/im/1.bin"]
        assert files.read("top/im/1.bin") == b"wanted"
        for name in ("top/im/symlink.bin", "../evil.bin", "/etc/passwd"):
            with pytest.raises(IntegrityError):
                files.read(name)
    assert sorted(tmp_path.rglob("*")) == before


def test_only_hostile_members_mean_that_the_wanted_are_lacking(tmp_path: Path) -> None:
    """A link in place of the file is no file."""
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("top/im/1.bin")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(info)
    with pytest.raises(IntegrityError, match=r"lacks top/im/\*\.bin"):
        Published({remote(path): path})


def test_a_bomb_is_stopped_while_it_unpacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A packed tar that grows beyond all measure leaves nothing behind."""
    monkeypatch.setattr("mitobench.datasets.tar.MARGIN", 1 << 20)
    path = tmp_path / "a.tar.gz"
    write_tar(path, {"top/im/1.bin": b"\0" * 40_000_000})
    with pytest.raises(IntegrityError, match="100 times its size"):
        Published({remote(path): path})
    assert not unpacked(tmp_path)


def test_a_full_disk_stops_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what there is; the half-made tar is removed."""
    path = tmp_path / "a.tar.gz"
    write_tar(path, FILES)
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10_000))
    with pytest.raises(FetchError, match="GB free"):
        Published({remote(path): path})
    assert not unpacked(tmp_path)


def test_a_member_that_claims_too_much_is_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read into memory at once has a limit."""
    monkeypatch.setattr("mitobench.datasets.members.MEMBER_LIMIT", 1000)
    with Published({remote(path): path}) as files, pytest.raises(IntegrityError, match="it claims 3002"):
        files.read("top/im/2.bin")


@pytest.mark.parametrize("keep", [0.5, 0.9])
def test_a_tar_that_is_cut_short_is_named(path: Path, keep: float) -> None:
    """Whether the cut is in a packed stream or inside a member."""
    path.write_bytes(path.read_bytes()[: int(keep * 9000)])
    with pytest.raises(IntegrityError, match=f"{path.name}.*cannot be read"):
        Published({remote(path): path})
    assert not unpacked(path.parent)


def test_what_is_no_tar_is_passed_over(tmp_path: Path) -> None:
    """Planning looks at the start only and unpacks nothing."""
    (tmp_path / "a.tar.gz").write_bytes(b"no tar")
    file = remote(tmp_path / "a.tar.gz")
    assert "no tar archive" in str(why_not(file, tmp_path / "a.tar.gz"))
    write_tar(tmp_path / "a.tar.gz", FILES)
    assert why_not(file, tmp_path / "a.tar.gz") is None
    assert not unpacked(tmp_path)
    assert "prove nothing" in str(why_not(file, tmp_path))


@pytest.fixture
def served(path: Path) -> Iterator[tuple[Path, RemoteFile, list[str]]]:
    """That tar on a host: (original, as a card lists it, answers to come)."""
    with serving(path.read_bytes()) as host:
        yield path, remote(path, urls=(host.url,), about_bytes=10_000), host.modes


def test_a_downloaded_tar_has_to_be_whole(served: tuple[Path, RemoteFile, list[str]], tmp_path: Path) -> None:
    """A host that gives no length cannot pass off half a tar."""
    path, file, modes = served
    target = tmp_path / "down" / path.name
    modes.append("no-length-cut:6000")
    with pytest.raises(FetchError, match=r"6000 bytes.*no complete tar"):
        download(file, target, patience=ONCE)
    modes.append("no-length")
    download(file, target, patience=ONCE)
    assert target.read_bytes() == path.read_bytes()


def test_whole_means_to_the_end(path: Path) -> None:
    """The start alone looks right."""
    data = path.read_bytes()
    assert is_tar(path, whole=True)
    path.write_bytes(data[:6000])
    assert is_tar(path)
    assert not is_tar(path, whole=True)
