"""vnc: labels of other structures come from one code per pixel, in which zero is a membrane."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from fakes import Fake, vnc
from fakes.vnc import png

from mitobench.arrays import read_image_bytes
from mitobench.datasets import fetch, load_manifest, load_split, registry, verify
from mitobench.datasets.reading import SPLITS
from mitobench.errors import IntegrityError, UnknownNameError


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    """The fake, written once."""
    return vnc.build(tmp_path_factory.mktemp("vnc"))


@pytest.fixture
def fake(built: Fake, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """The fake under its key, with its archive as source."""
    monkeypatch.setattr(registry, "DATASETS", {"vnc": built.dataset})
    monkeypatch.setenv("MITOBENCH_SOURCES", str(built.archives))
    return built


def test_a_zero_among_the_codes_is_a_membrane(fake: Fake) -> None:
    """Whoever takes zero for background misses that membrane and paints the insides of cells."""
    with zipfile.ZipFile(fake.archive) as archive:
        name = next(name for name in archive.namelist() if name.endswith("labels00000000.png"))
        codes = read_image_bytes(archive.read(name), name)
    found = load_split("vnc", "train", target="membrane")[0].labels[0]
    assert (found[codes == 0] == 1).all()
    assert (codes == 0).any()
    assert (found != (codes > 0)).any()
    assert not found[codes == vnc.INSIDE].any()


def test_targets_leave_the_mitochondria_alone(fake: Fake) -> None:
    """Without a target, the masks load as ever; an unknown target is answered with the known ones."""
    assert load_split("vnc", "test")[0].labels.sum() == fake.truth["stack1"][1][16:20].sum()
    assert load_split("vnc", "unlabelled", target="synapse")[0].labels is None
    with pytest.raises(UnknownNameError, match="glia-or-extracellular, membrane, mitochondrion, synapse"):
        load_split("vnc", "test", target="nucleus")


def test_a_code_that_nobody_published_is_refused() -> None:
    """Values between two codes mean that the file was resampled or is another one."""
    from mitobench.datasets.vnc import _coded
    from mitobench.errors import FormatError

    plane = np.full((4, 4), 255, np.uint8)
    plane[1, 1] = 100
    with pytest.raises(FormatError, match=r"a\.png holds \[100\]"):
        _coded("membrane", png(plane, one_bit=False), "a.png")


def test_hashes_of_targets_are_checked(fake: Fake) -> None:
    """They stand in the manifest beside the others, and a store that decodes to something else is refused."""
    path = fake.dataset.splits_folder / "vnc@1.toml"
    text = path.read_text()
    known = load_manifest("vnc", 1, fake.dataset.splits_folder).volumes["stack1"].targets["synapse"]
    path.write_text(text.replace(known, "0" * 64))
    with pytest.raises(IntegrityError, match="stack1 synapse: decodes to"):
        fetch("vnc")
    path.write_text(text)


def test_targets_do_not_count_in_the_hash_of_a_manifest(fake: Fake) -> None:
    """They decide no score of mitochondria, so records from before they were known stay valid."""
    path = fake.dataset.splits_folder / "vnc@1.toml"
    text, before = path.read_text(), load_manifest("vnc", 1, fake.dataset.splits_folder).sha256
    head, _, rest = text.partition('[volumes."stack1".targets]')
    path.write_text(head + rest[rest.index("[volumes") :])
    assert not load_manifest("vnc", 1, fake.dataset.splits_folder).volumes["stack1"].targets
    assert load_manifest("vnc", 1, fake.dataset.splits_folder).sha256 == before
    path.write_text(text)


def test_real_targets_have_the_counted_fractions(
    real_data_root: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted from the published codes; the mitochondria among them agree with the masks as the card says."""
    monkeypatch.setenv("MITOBENCH_SOURCES", str(real_data_root))
    fetch("vnc", root=data_root)
    assert not verify("vnc", root=data_root).not_pinned
    assert set(load_manifest("vnc", 1, SPLITS).volumes["stack1"].targets) == {
        "membrane",
        "synapse",
        "glia-or-extracellular",
    }
    folder = data_root / "vnc@1"
    found = {
        key: round(float(np.load(folder / f"stack1.labels-{key}.npy", mmap_mode="r").mean()), 4)
        for key in ("membrane", "synapse", "glia-or-extracellular")
    }
    assert found == {"membrane": 0.1716, "synapse": 0.0056, "glia-or-extracellular": 0.0285}
