"""Array files: what is opened, how, and what is refused."""

import gzip
import hashlib
import io
import json
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from mitobench.arrays import (
    SliceStack,
    hash_file,
    natural_key,
    open_array,
    open_npy,
    read_image_bytes,
    sha256_of_array,
    write_npy_atomic,
)
from mitobench.arrays.portable import portable
from mitobench.errors import DtypeError, FormatError, MissingExtraError, ShapeError

RNG = np.random.default_rng(5)
STACK = RNG.integers(0, 65536, (12, 9, 7)).astype(np.uint16)


def png(array: np.ndarray, mode: str | None = None) -> bytes:
    buffer = io.BytesIO()
    picture = Image.fromarray(array)
    (picture.convert(mode) if mode else picture).save(buffer, "PNG")
    return buffer.getvalue()


def write(path: Path) -> Path:
    """STACK in the format that the name asks for."""
    match path.name:
        case "a.npy":
            np.save(path, STACK)
        case "plain.tif":
            tifffile.imwrite(path, STACK)
        case "big-endian.tif":
            tifffile.imwrite(path, STACK, byteorder=">")
        case "packed.tiff":
            tifffile.imwrite(path, STACK, compression="zlib")
        case "pages.tif":
            with tifffile.TiffWriter(path) as tiff:
                for page in STACK:
                    tiff.write(page, contiguous=False)
        case "pngs":
            path.mkdir()
            for z, page in enumerate(STACK):  # unpadded: a string sort would put 10 before 2
                (path / f"slice{z}.png").write_bytes(png(page))
        case "tifs":
            path.mkdir()
            for z, page in enumerate(STACK):
                tifffile.imwrite(path / f"{z}.tif", page)
        case "plain.h5" | "gzip.h5" | "shuffled.hdf5" | "lzf.h5" | "big-endian.h5":
            h5py = pytest.importorskip("h5py", reason="needs mitobench[hdf5]")
            options = {
                "gzip.h5": {"chunks": (4, 3, 4), "compression": "gzip"},
                "shuffled.hdf5": {"chunks": (4, 3, 4), "compression": "gzip", "shuffle": True},
                "lzf.h5": {"chunks": (4, 3, 4), "compression": "lzf"},
            }
            values = STACK.astype(">u2") if path.name == "big-endian.h5" else STACK
            with h5py.File(path, "w") as file:
                file.create_dataset("volumes/labels", data=values, **options.get(path.name, {}))
                file["note"] = "not an array"
        case "plain.nii" | "packed.nii.gz":
            nibabel.save(nibabel.Nifti1Image(STACK.T, np.eye(4)), path)
        case "two.zarr" | "three.zarr":
            version = 2 if path.name == "two.zarr" else 3
            array = zarr.create_array(
                path, shape=STACK.shape, chunks=(4, 4, 4), dtype="uint16", zarr_format=version
            )
            array[:] = STACK
    return path


NAMES = [
    "a.npy",
    "plain.tif",
    "big-endian.tif",
    "packed.tiff",
    "pages.tif",
    "pngs",
    "tifs",
    "plain.h5",
    "gzip.h5",
    "shuffled.hdf5",
    "lzf.h5",
    "big-endian.h5",
    "plain.nii",
    "packed.nii.gz",
    "two.zarr",
    "three.zarr",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_format_gives_back_what_was_written(tmp_path: Path, name: str) -> None:
    """Shape, dtype and values survive, whole and by any slice."""
    array = open_array(write(tmp_path / name))
    assert array.shape == STACK.shape
    assert np.dtype(array.dtype).newbyteorder("=") == STACK.dtype
    for index in (
        slice(None),
        3,
        -1,
        slice(2, 9, 3),
        (slice(1, 4), slice(2, 5), 3),
        (5, slice(0, 2)),
        (..., 1),
    ):
        np.testing.assert_array_equal(np.asarray(array[index]), STACK[index])
    np.testing.assert_array_equal(np.asarray(array), STACK)


@pytest.mark.parametrize("name", NAMES)
def test_every_format_reaches_another_process(tmp_path: Path, name: str) -> None:
    """What pickle brings over gives the same values there, in any number of threads."""
    array = pickle.loads(pickle.dumps(portable(open_array(write(tmp_path / name)), slice(2, 10))))
    boxes = [(slice(z, z + 2), slice(1, 4), slice(0, 5)) for z in range(2, 9)] * 5
    with ThreadPoolExecutor(4) as threads:
        for box, values in zip(boxes, threads.map(array.__getitem__, boxes), strict=True):
            np.testing.assert_array_equal(np.asarray(values), STACK[box])


@pytest.mark.parametrize("name", NAMES)
def test_hash_is_that_of_the_values_not_of_the_file(tmp_path: Path, name: str) -> None:
    """Byte order, packing and format do not change the hash of an array."""
    assert sha256_of_array(open_array(write(tmp_path / name))) == sha256_of_array(STACK)


@pytest.mark.parametrize("name", ["a.npy", "plain.tif", "plain.nii"])
def test_plain_files_are_mapped_not_read(tmp_path: Path, name: str) -> None:
    """Opening a large plain file costs nothing."""
    assert isinstance(open_array(write(tmp_path / name)), np.memmap)


def test_hash_is_the_documented_one() -> None:
    """By hand: one line of dtype and shape, then little-endian C-order bytes."""
    array = np.arange(6, dtype=">u2").reshape(1, 2, 3)
    by_hand = hashlib.sha256(b"<u2 1x2x3\n" + b"".join(bytes([i, 0]) for i in range(6))).hexdigest()
    assert sha256_of_array(array) == by_hand
    assert sha256_of_array(np.asfortranarray(array)) == by_hand


@pytest.mark.parametrize("other", [STACK.astype(np.uint32), STACK.reshape(12, 7, 9), STACK[:, ::-1]])
def test_hash_tells_dtype_shape_and_values_apart(other: np.ndarray) -> None:
    """Same bytes in another shape or dtype are another array."""
    assert sha256_of_array(other) != sha256_of_array(STACK)


def test_written_npy_has_the_hashes_that_were_reported(tmp_path: Path) -> None:
    """Streaming slice by slice and in slabs gives numpy's own file."""
    path = tmp_path / "a.npy"
    written = write_npy_atomic(path, [STACK[0], STACK[1:5], STACK[5:]], shape=STACK.shape, dtype=STACK.dtype)
    np.testing.assert_array_equal(np.load(path), STACK)
    assert (written.n_bytes, written.sha256) == (path.stat().st_size, hash_file(path))
    assert written.array_sha256 == sha256_of_array(STACK)


@pytest.mark.parametrize(
    ("slabs", "error"),
    [
        ([STACK[:5]], ShapeError),
        ([STACK, STACK[:1]], ShapeError),
        ([STACK[:, :3]], ShapeError),
        ([STACK.astype(np.int16)], DtypeError),
    ],
)
def test_wrong_slabs_leave_the_old_file_and_no_rest(tmp_path: Path, slabs: list, error: type) -> None:
    """A failed write changes nothing in the folder."""
    path = tmp_path / "a.npy"
    np.save(path, STACK[:1])
    with pytest.raises(error):
        write_npy_atomic(path, slabs, shape=STACK.shape, dtype=STACK.dtype)
    assert [child.name for child in tmp_path.iterdir()] == ["a.npy"]
    assert np.load(path).shape == (1, 9, 7)


def test_natural_order() -> None:
    """Numbers inside names count as numbers."""
    names = ["s10.png", "s2.png", "s1.png", "a3b12", "a3b2"]
    assert sorted(names, key=natural_key) == ["a3b2", "a3b12", "s1.png", "s2.png", "s10.png"]


def test_palette_png_gives_indices_and_one_bit_gives_zero_and_one() -> None:
    """Labels live in palette indices; colours would hide them."""
    labels = np.array([[0, 1], [1, 0]], np.uint8)
    picture = Image.new("P", (2, 2))
    picture.putpalette([0, 0, 0, 7, 7, 7])
    picture.putdata(labels.ravel().tolist())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    np.testing.assert_array_equal(read_image_bytes(buffer.getvalue(), "a.png"), labels)
    one_bit = read_image_bytes(png(labels * 255, mode="1"), "b.png")
    assert one_bit.dtype == np.uint8
    np.testing.assert_array_equal(one_bit, labels)


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", b"II*\x00\x08\x00\x00\x00", b"<html>no</html>", b"\x00" * 400]
)
def test_damaged_images_are_refused_by_name(name: str, data: bytes) -> None:
    """Whatever the decoder raises, the user reads one message that names the file."""
    with pytest.raises(FormatError, match=f"{name} .*not a readable"):
        read_image_bytes(data, name)


def test_truncated_png_is_refused() -> None:
    """Half a picture is no picture."""
    whole = png(RNG.integers(0, 255, (64, 64)).astype(np.uint8))
    with pytest.raises(FormatError):
        read_image_bytes(whole[: len(whole) // 2], "half.png")


def test_tiff_with_two_pages_is_no_slice() -> None:
    """One archive member is one slice."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, STACK[:2], photometric="minisblack")
    with pytest.raises(FormatError, match="2 pages"):
        read_image_bytes(buffer.getvalue(), "two.tif")


class Bomb:
    """Says so when unpickled."""

    def __reduce__(self) -> tuple:
        return (print, ("unpickled",))


def test_pickles_are_never_loaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An object array is refused before its code runs, under .npy and as a zarr codec."""
    np.save(tmp_path / "a.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(FormatError, match="never loaded"):
        open_array(tmp_path / "a.npy")
    store = tmp_path / "a.zarr"
    store.mkdir()
    meta = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|u1", "order": "C", "fill_value": 0}
    (store / ".zarray").write_text(json.dumps({**meta, "compressor": None, "filters": [{"id": "pickle"}]}))
    (store / "0").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FormatError, match="packed with pickle"):
        open_array(store)
    assert "unpickled" not in capsys.readouterr().out


def test_pickle_inside_a_shard_is_found(tmp_path: Path) -> None:
    """Codecs of the inner chunks count too."""
    path = tmp_path / "a.zarr"
    zarr.create_array(path, shape=(4, 4), chunks=(2, 2), shards=(4, 4), dtype="uint8")
    meta = json.loads((path / "zarr.json").read_text())
    meta["codecs"][0]["configuration"]["codecs"].append({"name": "numcodecs.pickle"})
    (path / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(FormatError, match=r"packed with numcodecs\.pickle"):
        open_array(path)


def test_what_cannot_be_opened_says_what_can(tmp_path: Path) -> None:
    """Missing, unknown, mixed and empty things each get a message with the formats."""
    with pytest.raises(FileNotFoundError, match="does not exist"):
        open_array(tmp_path / "no.npy")
    (tmp_path / "a.csv").write_text("1,2")
    with pytest.raises(FormatError, match=r"Expected \.npy"):
        open_array(tmp_path / "a.csv")
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    with pytest.raises(FormatError, match="holds nothing"):
        open_array(mixed)
    (mixed / "a.png").write_bytes(png(STACK[0]))
    (mixed / "b.tif").write_bytes(b"")
    with pytest.raises(FormatError, match=r"\.png, \.tif"):
        open_array(mixed)


def test_a_group_lists_its_arrays(tmp_path: Path) -> None:
    """The user is told which path to give instead."""
    group = zarr.create_group(tmp_path / "g.zarr")
    group.create_array("raw", shape=(2, 2), dtype="uint8")
    with pytest.raises(FormatError, match="raw"):
        open_array(tmp_path / "g.zarr")


def test_slices_that_disagree_are_named(tmp_path: Path) -> None:
    """A stack of two sizes is no stack."""
    (tmp_path / "0.png").write_bytes(png(np.zeros((4, 4), np.uint8)))
    (tmp_path / "1.png").write_bytes(png(np.zeros((4, 5), np.uint8)))
    stack = open_array(tmp_path)
    assert isinstance(stack, SliceStack)
    with pytest.raises(FormatError, match="Slice 1"):
        stack[:]
    with pytest.raises(IndexError):
        stack[2]


@pytest.mark.parametrize("cut", [0, 6, 60, 200])
def test_cut_npy_is_refused(tmp_path: Path, cut: int) -> None:
    """A file that ends early is not mapped beyond its end."""
    path = write(tmp_path / "a.npy")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(FormatError):
        open_npy(path)


def test_npz_and_fake_tiff_are_refused(tmp_path: Path) -> None:
    """A name alone does not make a format."""
    with (tmp_path / "z.npy").open("wb") as file:
        np.savez(file, a=STACK)
    with pytest.raises(FormatError, match="npz"):
        open_npy(tmp_path / "z.npy")
    (tmp_path / "t.tif").write_bytes(b"not a tiff at all")
    with pytest.raises(FormatError, match="not a readable TIFF"):
        open_array(tmp_path / "t.tif")


def test_tiff_of_unlike_images_is_refused(tmp_path: Path) -> None:
    """Taking the first and dropping the rest would be silent loss."""
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(np.zeros((4, 4), np.uint8))
        tiff.write(np.zeros((4, 5), np.uint8))
    with pytest.raises(FormatError, match="2 images"):
        open_array(tmp_path / "a.tif")


def test_packed_two_dimensional_tiff_opens(tmp_path: Path) -> None:
    """One picture is (y, x)."""
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], compression="lzw")
    np.testing.assert_array_equal(np.asarray(open_array(tmp_path / "a.tif")), STACK[0])


def test_arrays_of_hdf5_are_named(tmp_path: Path) -> None:
    """One of several by its path; chunks never written hold the fill value; links out of the file are not followed."""
    h5py = pytest.importorskip("h5py", reason="needs mitobench[hdf5]")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in ("raw", "labels/neurons"):
            array = file.create_dataset(
                name, STACK.shape, "u2", chunks=(4, 4, 4), compression="gzip", fillvalue=7
            )
            array[:4] = STACK[:4]
        file["elsewhere"] = h5py.ExternalLink("b.h5", "secret")
    with pytest.raises(FormatError, match=r"holds 2 arrays.*a\.h5/labels/neurons .*a\.h5/raw"):
        open_array(tmp_path / "a.h5")
    with pytest.raises(FormatError, match=r"a\.h5/label holds 0 arrays"):
        open_array(tmp_path / "a.h5" / "label")
    array = open_array(tmp_path / "a.h5" / "labels" / "neurons")
    np.testing.assert_array_equal(array[:4], STACK[:4])
    assert (array[4:] == 7).all()
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["secret"] = STACK
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["elsewhere"] = h5py.ExternalLink("b.h5", "secret")
    with pytest.raises(FormatError, match="none found"):
        open_array(tmp_path / "c.h5")


def test_damaged_hdf5_and_nifti_are_refused(tmp_path: Path) -> None:
    """By name, with what to do."""
    pytest.importorskip("h5py", reason="needs mitobench[hdf5]")
    for name in ("a.h5", "a.nii", "a.nii.gz"):
        (tmp_path / name).write_bytes(b"\x1f\x8b nothing of the kind")
        with pytest.raises(FormatError, match=rf"{name}.*again"):
            open_array(tmp_path / name)
    whole = write(tmp_path / "plain.nii").read_bytes()
    (tmp_path / "cut.nii").write_bytes(whole[:-3])
    with pytest.raises(FormatError, match="cut short"):
        open_array(tmp_path / "cut.nii")
    (tmp_path / "cut.nii.gz").write_bytes(gzip.compress(whole[:-3]))
    with pytest.raises(FormatError, match="cut short"):
        open_array(tmp_path / "cut.nii.gz")[:]
    packed = write(tmp_path / "gzip.h5")
    data = bytearray(packed.read_bytes())
    start = data.rindex(b"x\x9c") if b"x\x9c" in data else data.rindex(b"x\x5e")
    data[start : start + 8] = b"\0" * 8
    packed.write_bytes(data)
    with pytest.raises(FormatError, match="cannot be decoded"):
        open_array(packed)[:]


def test_without_h5py_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to guess what to install."""
    (tmp_path / "a.h5").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"mitobench\[hdf5\]"):
        open_array(tmp_path / "a.h5")
