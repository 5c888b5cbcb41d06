"""Fetching: where files come from, licences, archives that are wrong or hostile."""

import hashlib
import json
import stat
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fake_host import serving
from fakes import Fake, cdeep3m, vnc, write_zip

from mitobench.datasets import fetch, load_split, registry
from mitobench.datasets.archives import Published
from mitobench.datasets.card import Licence
from mitobench.datasets.card_rows import download_text
from mitobench.datasets.fetch import ensure_store, plan_file
from mitobench.datasets.folder_journal import Journal
from mitobench.datasets.remote import Listing, RemoteFile
from mitobench.datasets.web import Patience
from mitobench.errors import DatasetNotFoundError, FetchError, IntegrityError, LicenceError

QUICK = Patience(connect_s=20, stall_s=20, tries=1, wait_s=0.01)


@pytest.fixture
def fake(tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The vnc fake under its key; its archive lies in a folder that nobody names yet, its URLs lead nowhere."""
    fake = vnc.build(tmp_path / "fake")
    return use(fake, ("https://127.0.0.1:9/a.zip",), monkeypatch)


def use(fake: Fake, urls: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake with those URLs, registered."""
    card = replace(fake.dataset.card, files=(replace(fake.dataset.card.files[0], urls=urls),))
    changed = replace(fake, dataset=replace(fake.dataset, card=card))
    monkeypatch.setattr(registry, "DATASETS", {card.key: changed.dataset})
    return changed


def contents(archive: Path) -> dict[str, bytes]:
    """{name: bytes} of a zip."""
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def rewrite(fake: Fake, change: dict[str, bytes | None]) -> None:
    """The archive with some members replaced, added or (None) left out; names without the folder on top."""
    top = fake.archive.stem
    members = contents(fake.archive)
    for name, data in change.items():
        members.pop(f"{top}/{name}", None)
        if data is not None:
            members[f"{top}/{name}"] = data
    write_zip(fake.archive, members)


# Where files come from


def test_order_of_sources(fake: Fake, tmp_path: Path) -> None:
    """Given path, then source folders, then an earlier download, then the network."""
    file = fake.dataset.card.files[0]
    other, downloads = tmp_path / "other", tmp_path / "downloads"
    other.mkdir()
    downloads.mkdir()
    network = plan_file(file, given=None, folders=[other], downloads=downloads)
    assert (network.action, network.path) == ("download", downloads / file.name)
    (downloads / file.name).write_bytes(fake.archive.read_bytes())
    assert plan_file(file, given=None, folders=[other], downloads=downloads).path == downloads / file.name
    (other / "groundtruth-drosophila-vnc-master.zip").write_bytes(fake.archive.read_bytes())
    named = plan_file(file, given=None, folders=[other], downloads=downloads)
    assert (named.action, named.path.name) == ("take", "groundtruth-drosophila-vnc-master.zip")
    (other / file.name).write_bytes(fake.archive.read_bytes())
    assert plan_file(file, given=None, folders=[other], downloads=downloads).path == other / file.name
    assert plan_file(file, given=fake.archive, folders=[other], downloads=downloads).path == fake.archive


def test_deciding_does_not_act(fake: Fake, tmp_path: Path) -> None:
    """A plan leaves no file behind."""
    plan_file(fake.dataset.card.files[0], given=None, folders=[], downloads=tmp_path / "downloads")
    assert not (tmp_path / "downloads").exists()


def test_an_archive_without_the_members_is_passed_over(
    fake: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zip that only has the right name does not stop the search, and the reason is told at the end."""
    rewrite(fake, {"stack1/raw/03.tif": None})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(fake.archives))
    with pytest.raises(DatasetNotFoundError, match=r"passed over.*stack1/raw/03\.tif"):
        ensure_store(fake.dataset, allow_download=False)
    fake.archive.write_bytes(b"not a zip")
    with pytest.raises(LicenceError, match=r"passed over.*no complete zip"):
        fetch("vnc")


@pytest.mark.parametrize("top", ["", "groundtruth-drosophila-vnc-master/", "any name/"])
def test_the_folder_on_top_does_not_matter(fake: Fake, data_root: Path, tmp_path: Path, top: str) -> None:
    """GitHub names it after the commit or the branch; people pack anew without it."""
    members = {name.split("/", 1)[1]: data for name, data in contents(fake.archive).items()}
    write_zip(tmp_path / "mine.zip", {f"{top}{name}": data for name, data in members.items()})
    folder = fetch("vnc", archives=tmp_path / "mine.zip")
    np.testing.assert_array_equal(np.load(folder / "stack1.image.npy"), fake.truth["stack1"][0])


def test_an_unpacked_archive_serves(fake: Fake, data_root: Path, tmp_path: Path) -> None:
    """The folder that people get when they unpack it, with or without the folder on top."""
    with zipfile.ZipFile(fake.archive) as archive:
        archive.extractall(tmp_path / "unpacked")
    fetch("vnc", archives=tmp_path / "unpacked")
    fetch("vnc", archives=tmp_path / "unpacked" / fake.archive.stem, root=tmp_path / "second")
    assert (tmp_path / "second" / "vnc@1" / "store.json").is_file()


def test_a_folder_of_archives_serves(fake: Fake, data_root: Path) -> None:
    """--from may name the folder instead of the file."""
    assert (fetch("vnc", archives=fake.archives) / "store.json").is_file()


def test_a_given_path_that_cannot_serve_is_refused(fake: Fake, tmp_path: Path, data_root: Path) -> None:
    """What the user named is not silently replaced by a download."""
    with pytest.raises(DatasetNotFoundError, match="does not exist"):
        fetch("vnc", archives=tmp_path / "no.zip", agree=True)
    write_zip(tmp_path / "other.zip", {"a.txt": b"a"})
    with pytest.raises(IntegrityError, match=r"lacks README\.md"):
        fetch("vnc", archives=tmp_path / "other.zip", agree=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(IntegrityError, match="Give the published archive"):
        fetch("vnc", archives=tmp_path / "empty", agree=True)
    assert not (data_root / "agreements.json").exists()


# Licences


def test_a_non_commercial_download_asks_once(
    fake: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Refused with licence, URL and the ways to agree; agreeing is remembered in the data root."""
    with serving(fake.archive.read_bytes()) as host:
        use(fake, (host.url,), monkeypatch)
        with pytest.raises(
            LicenceError, match=r"CC-BY-NC-SA-3\.0.*https://creativecommons.*--agree.*MITOBENCH_AGREE"
        ):
            fetch("vnc", patience=QUICK)
        assert host.seen == []
        fetch("vnc", agree=True, patience=QUICK)
        agreed = json.loads((data_root / "agreements.json").read_text())
        assert agreed["vnc"]["licence"] == "CC-BY-NC-SA-3.0"
        remove(data_root / "vnc@1")
        remove(data_root / "downloads" / "vnc")
        fetch("vnc", patience=QUICK)
        assert len(host.seen) == 2


def remove(folder: Path) -> None:
    for child in folder.iterdir():
        child.unlink()


@pytest.mark.parametrize("named", ["vnc", "all", "cdeep3m,vnc", "cdeep3m vnc "])
def test_the_environment_can_agree(
    fake: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """MITOBENCH_AGREE lists keys, or says all; then the download is tried."""
    monkeypatch.setenv("MITOBENCH_AGREE", named)
    with pytest.raises(FetchError):
        fetch("vnc", patience=QUICK)


@pytest.mark.parametrize("named", ["", "vn", "cdeep3m", "1", "yes"])
def test_other_words_do_not_agree(
    fake: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """Only the key itself or "all" counts."""
    monkeypatch.setenv("MITOBENCH_AGREE", named)
    with pytest.raises(LicenceError):
        fetch("vnc", patience=QUICK)


def test_agreement_is_to_a_licence_not_to_a_name(
    fake: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the licence changes, it is asked again; a damaged list of agreements asks again too."""
    data_root.mkdir()
    (data_root / "agreements.json").write_text('{"vnc": {"licence": "CC-BY-4.0"}}')
    with pytest.raises(LicenceError):
        fetch("vnc", patience=QUICK)
    (data_root / "agreements.json").write_text("{broken")
    with pytest.raises(LicenceError):
        fetch("vnc", patience=QUICK)


def test_free_licences_ask_nothing(fake: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The question belongs to non-commercial licences alone."""
    free = Licence(id="CC0-1.0", url="https://x", non_commercial=False, pixels_redistributable=True)
    card = replace(fake.dataset.card, licence=free)
    monkeypatch.setattr(registry, "DATASETS", {"vnc": replace(fake.dataset, card=card)})
    with pytest.raises(FetchError):
        fetch("vnc", patience=QUICK)


def test_archives_on_disk_ask_nothing(fake: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever put an archive there has it already: no question, no request, no record of an agreement."""
    monkeypatch.setattr("requests.Session.get", None)
    monkeypatch.setenv("MITOBENCH_SOURCES", str(fake.archives))
    fetch("vnc")
    assert not (data_root / "agreements.json").exists()


# Downloads, end to end


def test_first_use_downloads_then_maps(fake: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """load_split alone brings the data; the second call makes no request."""
    monkeypatch.setenv("MITOBENCH_AGREE", "all")
    with serving(fake.archive.read_bytes()) as host:
        use(fake, (host.url,), monkeypatch)
        split = load_split("vnc", "test")
        np.testing.assert_array_equal(split[0].image, fake.truth["stack1"][0][16:20])
        load_split("vnc", "train")
        assert len(host.seen) == 1


def test_a_downloaded_archive_with_a_wrong_member_is_deleted(
    fake: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The member and both hashes are named, our copy goes, no store is left, and a mended host is then believed."""
    good = fake.archive.read_bytes()
    right = hashlib.sha256(contents(fake.archive)[f"{fake.archive.stem}/stack1/raw/05.tif"]).hexdigest()
    rewrite(fake, {"stack1/raw/05.tif": b"changed"})
    wrong = hashlib.sha256(b"changed").hexdigest()
    with serving(fake.archive.read_bytes()) as host:
        use(fake, (host.url,), monkeypatch)
        with pytest.raises(IntegrityError, match=f"(?s)stack1/raw/05.tif.*{wrong}.*{right}.*deleted"):
            fetch("vnc", agree=True, patience=QUICK)
        assert list((data_root / "downloads" / "vnc").iterdir()) == []
        assert not (data_root / "vnc@1" / "store.json").exists()
        host.content = good
        assert (fetch("vnc", patience=QUICK) / "store.json").is_file()


def test_offline_says_what_was_tried(fake: Fake, data_root: Path) -> None:
    """Every URL is listed, with the way to go on by hand."""
    with pytest.raises(FetchError, match=r"127\.0\.0\.1:9/a\.zip.*(?s:.)*--from"):
        fetch("vnc", agree=True, patience=QUICK)


def test_an_unwritable_root_is_one_message(fake: Fake, tmp_path: Path) -> None:
    """A data root that is a file cannot hold data."""
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchError, match="Set MITOBENCH_DATA"):
        fetch("vnc", root=tmp_path / "file", archives=fake.archives)


# Wrong and hostile archives


def test_a_wrong_member_is_named_and_the_users_file_is_kept(
    fake: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies in the user's folders is never deleted."""
    rewrite(fake, {"stack1/mitochondria/07.png": vnc.png(np.zeros((36, 32), np.uint8), one_bit=False)})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(fake.archives))
    with pytest.raises(
        IntegrityError, match=r"stack1/mitochondria/07\.png has sha256 [0-9a-f]{64}, the card says"
    ):
        fetch("vnc")
    assert fake.archive.is_file()
    assert not (data_root / "vnc@1" / "store.json").exists()


def test_hostile_members_are_never_looked_at(fake: Fake, data_root: Path, tmp_path: Path) -> None:
    """Absolute names, climbing names, links and bombs beside the data change nothing on disk."""
    link = zipfile.ZipInfo(f"{fake.archive.stem}/stack1/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(fake.archive, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../evil.txt", "evil")
        archive.writestr(str(tmp_path / "absolute.txt"), "evil")
        archive.writestr("..\\evil.txt", "evil")
        archive.writestr(link, "/etc/passwd")
        archive.writestr("bomb", b"\0" * 50_000_000)
    before = {path for path in tmp_path.rglob("*") if data_root not in path.parents}
    folder = fetch("vnc", archives=fake.archives)
    after = {path for path in tmp_path.rglob("*") if data_root not in path.parents}
    assert after - before <= {data_root}
    arrays = json.loads((folder / "store.json").read_text())["files"]
    assert {path.name for path in folder.iterdir()} == {*arrays, "store.json"}
    assert {"stack1.image.npy", "stack1.labels.npy", "stack2.image.npy"} <= set(arrays)


def test_a_second_member_of_the_same_name_is_caught(fake: Fake, data_root: Path) -> None:
    """A zip may list a name twice; whichever is read has to have the right hash."""
    with zipfile.ZipFile(fake.archive, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(f"{fake.archive.stem}/stack1/raw/00.tif", b"second")
    with pytest.raises(IntegrityError, match=r"stack1/raw/00\.tif"):
        fetch("vnc", archives=fake.archives)


def test_a_member_that_claims_too_much_is_not_unpacked(
    fake: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decompression stops before it starts."""
    monkeypatch.setattr("mitobench.datasets.members.MEMBER_LIMIT", 1000)
    with pytest.raises(IntegrityError, match="more than any published file has"):
        fetch("vnc", archives=fake.archives)


def test_a_flipped_bit_inside_the_zip_is_named(fake: Fake, data_root: Path) -> None:
    """Bit rot in the compressed bytes of one member."""
    with zipfile.ZipFile(fake.archive) as archive:
        info = archive.getinfo(f"{fake.archive.stem}/stack2/raw/11.tif")
    data = bytearray(fake.archive.read_bytes())
    data[info.header_offset + 200] ^= 1
    fake.archive.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"stack2/raw/11\.tif"):
        fetch("vnc", archives=fake.archives)


def test_only_listed_members_can_be_read(fake: Fake) -> None:
    """A reader that asks for a file without a hash is told to list it."""
    with (
        Published({fake.dataset.card.files[0]: fake.archive}) as files,
        pytest.raises(IntegrityError, match="List it there first"),
    ):
        files.read("stack2/labels/labels00000000.png")


def flipped(read, files):
    return read(files)[::-1]


def test_a_decoder_that_differs_is_caught(
    fake: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right files that decode to other pixels than the manifest's are refused, every such array at once."""

    def upside_down(card, files):
        for raw in fake.dataset.read(card, files):
            yield replace(
                raw, image=[replace(piece, read=partial(flipped, piece.read)) for piece in raw.image]
            )

    monkeypatch.setattr(registry, "DATASETS", {"vnc": replace(fake.dataset, read=upside_down)})
    with pytest.raises(
        IntegrityError, match=r"(?s)stack1 image: decodes to .*stack2 image: decodes to"
    ) as caught:
        fetch("vnc", archives=fake.archives)
    assert "stack1 labels" not in str(caught.value)
    assert not (data_root / "vnc@1" / "store.json").exists()


def test_cdeep3m_without_its_testset_is_told(
    tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unlabelled part belongs to the dataset too."""
    fake = cdeep3m.build(tmp_path / "fake")
    monkeypatch.setattr(registry, "DATASETS", {"cdeep3m": fake.dataset})
    rewrite(fake, {"mito_testsample/testset/images.083.png": None})
    with pytest.raises(IntegrityError, match=r"images\.083\.png"):
        fetch("cdeep3m", archives=fake.archives)


# Files that no program may fetch


STEPS = "1. Log in at https://example.org.\n2. Press Download."


def test_a_gated_host_is_not_even_asked(fake: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is the exact steps and the command to go on with."""
    card = fake.dataset.card
    files = (replace(card.files[0], urls=(), manual=STEPS),)
    gated = replace(fake.dataset, card=replace(card, files=files))
    monkeypatch.setattr("mitobench.datasets.download.download", None)
    with pytest.raises(FetchError) as caught:
        ensure_store(gated, agree=True)
    assert STEPS in str(caught.value)
    assert "mitobench fetch vnc --from FOLDER" in str(caught.value)
    ensure_store(gated, given=fake.archives)


def test_a_dead_host_is_answered_with_the_steps(fake: Fake, data_root: Path) -> None:
    """After every URL failed, what each said stands before the steps."""
    card = fake.dataset.card
    files = (replace(card.files[0], manual=STEPS),)
    with pytest.raises(FetchError, match=r"(?s)127\.0\.0\.1:9.*refuses connections.*1\. Log in at"):
        ensure_store(replace(fake.dataset, card=replace(card, files=files)), agree=True, patience=QUICK)


def test_the_size_is_told_before_the_first_byte(fake: Fake, data_root: Path) -> None:
    """Nobody starts a download without having been told how large it is."""
    told: list[tuple[int, int, str]] = []
    with pytest.raises(FetchError):
        ensure_store(fake.dataset, agree=True, patience=QUICK, progress=lambda *now: told.append(now))
    assert told == [(0, 0, f"vnc: download of {download_text(fake.dataset.card)}")]


def test_a_damaged_file_of_a_folder_is_dropped_alone(
    fake: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run brings that file again and keeps the others."""
    folder = data_root / "downloads" / "vnc" / "raw"
    folder.mkdir(parents=True)
    for name, data in {"1.tif": b"one", "2.tif": b"two"}.items():
        (folder / name).write_bytes(data)
        Journal(folder).add(name, hashlib.sha256(data).hexdigest())
    Journal(folder).finish()
    (folder / "2.tif").write_bytes(b"rot")
    file = RemoteFile(
        name="raw", urls=(), kind="folder", listing=Listing(kind="html"), patterns=("raw/*.tif",)
    )
    with pytest.raises(IntegrityError, match=r"2\.tif has sha256"):
        ensure_store(replace(fake.dataset, card=replace(fake.dataset.card, files=(file,))))
    assert [path.name for path in folder.iterdir()] == ["1.tif"]
