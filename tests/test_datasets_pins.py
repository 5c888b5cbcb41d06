"""What is not known before the first download: said on the card, recorded at conversion, checked afterwards."""

import gzip
import io
import json
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from fakes import Fake, vnc

from mitobench.arrays import hash_file, read_nifti_bytes, read_tiff_pages, tiff_shape
from mitobench.datasets import fetch, registry, verify
from mitobench.datasets.archives import Published, why_not
from mitobench.datasets.manifest import load_manifest
from mitobench.datasets.reading import SPLITS
from mitobench.datasets.remote import NOT_KNOWN, RemoteFile
from mitobench.errors import BadInputError, FormatError, IntegrityError


@pytest.fixture
def unpinned(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The vnc fake as if nobody had seen its pixels: no decoded hash, and one file hash that is not known."""
    fake = vnc.build(tmp_path / "fake")
    path = fake.dataset.splits_folder / "vnc@1.toml"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(f'{x.split(" = ")[0]} = "{NOT_KNOWN}"' if "_sha256" in x else x for x in lines))
    file = fake.dataset.card.files[0]
    known = file.members["stack1/raw/00.tif"]
    listed = tmp_path / "some.toml"
    listed.write_text(file.hash_list.read_text().replace(known, NOT_KNOWN))
    card = replace(fake.dataset.card, files=(replace(file, hash_list=listed),))
    dataset = replace(fake.dataset, card=card)
    monkeypatch.setattr(registry, "DATASETS", {"vnc": dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(fake.archives))
    return replace(fake, dataset=dataset)


def test_hashes_of_the_manifests_in_use_stay() -> None:
    """Published records name these; pins and masks that came later must not change them."""
    started = {key: load_manifest(key, 1, SPLITS).sha256[:16] for key in ("vnc", "cdeep3m", "synthetic")}
    assert started == {
        "vnc": "dd9c55d4fd31197e",
        "cdeep3m": "a4579d2da2503330",
        "synthetic": "643efab9e1ecb310",
    }


def test_unknown_hashes_are_recorded_and_told(unpinned: Fake) -> None:
    """store.json keeps what came, the user reads it, and the manifest still has a hash of its own."""
    told: list[str] = []
    folder = fetch("vnc", progress=lambda done, total, what: told.append(what))
    with zipfile.ZipFile(unpinned.archive) as archive:
        name = next(name for name in archive.namelist() if name.endswith("stack1/raw/00.tif"))
        (folder.parent / "first.tif").write_bytes(archive.read(name))
    found = hash_file(folder.parent / "first.tif")
    assert json.loads((folder / "store.json").read_text())["members"]["stack1/raw/00.tif"] == found
    assert [what for what in told if "recorded" in what] == [
        f"recorded sha256 {found} of stack1/raw/00.tif, whose hash was not known"
    ]
    manifest = load_manifest("vnc", 1, unpinned.dataset.splits_folder)
    assert not manifest.pinned
    assert len(manifest.sha256) == 64


def test_verify_compares_an_unpinned_store_with_its_own_record(unpinned: Fake) -> None:
    """A changed byte is found all the same, and the report tells which files nobody vouches for."""
    folder = fetch("vnc")
    assert verify("vnc").not_pinned == ("stack1.image.npy", "stack1.labels.npy", "stack2.image.npy")
    data = bytearray((folder / "stack1.labels.npy").read_bytes())
    data[-1] ^= 1
    (folder / "stack1.labels.npy").write_bytes(data)
    with pytest.raises(IntegrityError, match=r"stack1\.labels\.npy has sha256"):
        verify("vnc")


def zipped(folder: Path, members: dict[str, bytes]) -> RemoteFile:
    """A zip of which only its own hash is known."""
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return RemoteFile(
        name="a.zip", urls=("https://x.org/a",), patterns=("A/In/*.png",), sha256=hash_file(folder / "a.zip")
    )


def test_patterns_find_files_in_natural_order(tmp_path: Path) -> None:
    """2 before 10; hidden files of other systems, subfolders and other folders are not meant."""
    names = ["A/In/10.png", "A/In/2.png", "A/In/._2.png", "A/In/x/1.png", "__MACOSX/A/In/1.png", "A/In/n.txt"]
    file = zipped(tmp_path, {name: name.encode() for name in names})
    with Published({file: tmp_path / "a.zip"}) as files:
        assert files.names("A/In/*.png") == ["A/In/2.png", "A/In/10.png"]
        assert files.read("A/In/2.png") == b"A/In/2.png"
        assert files.seen == {"a.zip": file.sha256}
        assert files.unpinned(files.seen) == []
        with pytest.raises(IntegrityError, match="no hash on the card"):
            files.read("A/In/n.txt")


def test_an_archive_known_by_its_own_hash_is_refused_when_it_differs(tmp_path: Path) -> None:
    """One more member is another archive; unpacked files cannot be checked, so they are refused too."""
    file = zipped(tmp_path, {"A/In/1.png": b"1"})
    zipped(tmp_path, {"A/In/1.png": b"1", "A/In/2.png": b"2"})
    with pytest.raises(IntegrityError, match="the card says"):
        Published({file: tmp_path / "a.zip"})
    assert "prove nothing" in str(why_not(file, tmp_path))
    zipped(tmp_path, {"B/1.png": b"1"})
    assert "A/In/*.png" in str(why_not(file, tmp_path / "a.zip"))


def test_a_card_cannot_be_vague_about_a_file(tmp_path: Path) -> None:
    """A zip says which of its members are meant, a plain file has none."""
    for wrong in ({}, {"sha256": "0" * 64}, {"kind": "plain", "patterns": ("a",)}):
        with pytest.raises(BadInputError, match="RemoteFile"):
            RemoteFile(name="a.zip", urls=(), **wrong)


def test_a_zip_whose_hash_nobody_knows_is_recorded(tmp_path: Path) -> None:
    """Its members are taken by pattern, and the hash of the whole is kept and told."""
    file = replace(zipped(tmp_path, {"A/In/1.png": b"1"}), sha256=None)
    with Published({file: tmp_path / "a.zip"}) as files:
        assert files.read("A/In/1.png") == b"1"
        assert files.seen == {"a.zip": hash_file(tmp_path / "a.zip")}
        assert files.unpinned(files.seen) == ["a.zip"]


@pytest.mark.parametrize("pinned", [True, False])
def test_plain_files_are_opened_after_their_hash(tmp_path: Path, pinned: bool) -> None:
    """A known hash has to fit; an unknown one is recorded."""
    path = tmp_path / "a.tif"
    path.write_bytes(b"first")
    sha256 = hash_file(path)
    file = RemoteFile(name="a.tif", urls=(), kind="plain", sha256=sha256 if pinned else None)
    with Published({file: path}) as files, files.open("a.tif") as opened:
        assert opened.read() == b"first"
        assert files.seen == {"a.tif": sha256}
        assert files.unpinned(files.seen) == ([] if pinned else ["a.tif"])
    path.write_bytes(b"other")
    with Published({file: path}) as files:
        if pinned:
            with pytest.raises(IntegrityError, match="the card says"):
                files.open("a.tif")
        else:
            files.open("a.tif").close()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("dtype", "slope", "intercept"), [("i2", None, None), ("f4", None, None), ("u1", 2.0, 1.0)]
)
def test_nifti_is_read_as_nibabel_reads_it(
    order: str, dtype: str, slope: float | None, intercept: float
) -> None:
    """Axes reversed to (z, y, x), both byte orders, scaled where the header says so."""
    import nibabel

    array = np.arange(2 * 3 * 5).reshape(2, 3, 5).astype(f"{order}{dtype}")
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(array.dtype)
    image = nibabel.Nifti1Image(array, np.eye(4), header)
    image.header.set_slope_inter(slope, intercept)
    data = image.to_bytes()
    wanted = np.asanyarray(nibabel.Nifti1Image.from_bytes(data).dataobj)
    for packed in (data, gzip.compress(data)):
        found = read_nifti_bytes(packed, "a.nii.gz")
        np.testing.assert_array_equal(found, wanted.transpose())
        assert found.shape == (5, 3, 2)


def test_damaged_nifti_is_named() -> None:
    """Empty, cut, other bytes, four axes, complex numbers."""
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, 2, 2, 2, 1, 1, 1, 1)
    struct.pack_into("<h", head, 70, 2)
    struct.pack_into("<3f", head, 108, 352, 1, 0)
    head[344:348] = b"n+1\0"
    good = bytes(head) + bytes(8)
    assert read_nifti_bytes(good, "a.nii").shape == (2, 2, 2)
    axes, kind = bytearray(good), bytearray(good)
    struct.pack_into("<8h", axes, 40, 4, 2, 2, 1, 2, 1, 1, 1)
    struct.pack_into("<h", kind, 70, 32)
    for bad in (b"", b"\x1f\x8b", gzip.compress(good)[:-9], good[:-1], bytes(400), bytes(axes), bytes(kind)):
        with pytest.raises(FormatError, match=r"a\.nii .* not a readable NIfTI"):
            read_nifti_bytes(bad, "a.nii")


@pytest.mark.parametrize(
    "options",
    [{"imagej": True}, {"imagej": False}, {"compression": "zlib"}, {"byteorder": ">"}, {"truncate": True}],
)
def test_tiff_pages_come_in_any_runs(options: dict) -> None:
    """Also those that keep all slices behind one header; damage and another number of pages are named."""
    stack, buffer = np.arange(60, dtype=np.uint16).reshape(3, 4, 5), io.BytesIO()
    tifffile.imwrite(buffer, stack, photometric="minisblack", **options)
    data = buffer.getvalue()
    assert tiff_shape(io.BytesIO(data), "a.tif") == (3, 4, 5)
    for first, stop in ((0, 3), (1, 2), (2, 3)):
        pages = read_tiff_pages(io.BytesIO(data), "a.tif", first=first, stop=stop, depth=3)
        np.testing.assert_array_equal(pages, stack[first:stop])
        assert pages.dtype == np.uint16
    with pytest.raises(FormatError, match=r"a\.tif has 3 pages; expected 4"):
        read_tiff_pages(io.BytesIO(data), "a.tif", first=0, stop=1, depth=4)
    with pytest.raises(FormatError, match="not a readable TIFF stack"):
        read_tiff_pages(io.BytesIO(b"II*\0"), "a.tif", first=0, stop=1, depth=1)


def test_archives_with_the_same_paths_are_told_apart(tmp_path: Path) -> None:
    """Two zips that both hold a/1.png: a reader asks for one/a/1.png; folders that nobody knows are found anywhere."""
    files = {}
    for number, folder in enumerate(("one", "two")):
        path = tmp_path / f"{folder}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.mkdir("a")
            for name in ("a/1.png", "b/c/2.png", "3.png", "__MACOSX/a/1.png", "a/.hidden.png"):
                archive.writestr(name, f"{number}{name}".encode())
        files[RemoteFile(name=path.name, urls=(), patterns=(f"{folder}/**/*",), under=folder)] = path
    with Published(files) as published:
        assert published.names("one/**/*") == ["one/3.png", "one/a/1.png", "one/b/c/2.png"]
        assert published.read("one/a/1.png") == b"0a/1.png"
        assert published.read("two/a/1.png") == b"1a/1.png"
        with published.open("two/b/c/2.png") as file:
            assert file.read() == b"1b/c/2.png"
    deep = RemoteFile(name="one.zip", urls=(), patterns=("**/c/*.png",))
    with Published({deep: tmp_path / "one.zip"}) as published:
        assert published.names("**/c/*.png") == ["b/c/2.png"]
    with pytest.raises(BadInputError, match="start with one/"):
        RemoteFile(name="one.zip", urls=(), patterns=("a/*",), under="one")
