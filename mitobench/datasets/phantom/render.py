"""Grey values and labels of the synthetic tissue, section by section."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mitobench.datasets.phantom.draws import Draws, Plane, blur, bump, ramp
from mitobench.datasets.phantom.small import draw_bodies, draw_vesicles
from mitobench.datasets.phantom.tissue import Section, Tissue, cut_section, grow_tissue
from mitobench.errors import BadInputError
from mitobench.segmenter import Progress, no_progress
from mitobench.volume import Image, Index3, VoxelSize

SMALLEST = 40  # voxels; a mitochondrion of which less is in the block is left out


def make_phantom(
    *, seed: int, shape: Index3, voxel_size_nm: VoxelSize, progress: Progress = no_progress
) -> tuple[Image, NDArray[np.uint16]]:
    """A block of synthetic neuropil with its mitochondria.

    The result is the same on every machine and with every NumPy (see `draws`). Mitochondria fill about 5 to
    12 % of blocks of a few cubic micrometres; smaller blocks may hold few or none.

    Args:
        seed: Non-negative; another seed gives other tissue.
        shape: (z, y, x) in voxels.
        voxel_size_nm: (z, y, x) in nanometres.
        progress: Told (sections done, sections in all, "synthetic tissue").

    Returns:
        Image, uint8, and instance labels, uint16, both (z, y, x); every id is one 6-connected object.

    Raises:
        BadInputError: A length or a voxel size is not positive.
    """
    if min(shape) < 1 or min(voxel_size_nm) <= 0:
        raise BadInputError(
            f"shape {shape} and voxel_size_nm {voxel_size_nm}: expected positive numbers, (z, y, x)."
        )
    tissue = grow_tissue(seed=seed, shape=shape, voxel_size_nm=voxel_size_nm)
    aim, sections = Draws(seed, 7), []
    for z in range(shape[0]):
        shift = (aim.one(-9.0, 9.0), aim.one(-9.0, 9.0))
        z_nm = z * voxel_size_nm[0]
        sections.append(
            cut_section(tissue, z_nm=z_nm, shift_nm=shift, shape=shape, voxel_size_nm=voxel_size_nm)
        )
        progress(z + 1, 2 * shape[0], "synthetic tissue")
    labels, kept = _one_piece_each(np.stack([section.ids for section in sections]))
    image, film = np.empty(shape, np.uint8), Draws(seed, 8)
    for z, section in enumerate(sections):
        grey = _tissue_grey(tissue, section, kept[z], film)
        image[z] = _expose(grey, tissue, section, film)
        progress(shape[0] + z + 1, 2 * shape[0], "synthetic tissue")
    return image, labels


def _one_piece_each(ids: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
    """Largest 6-connected piece of every id, numbered from 1 on; and which voxels may be drawn."""
    labels = np.zeros_like(ids)
    number = 0
    for place, box in enumerate(ndimage.find_objects(ids), start=1):
        if box is None:
            continue
        pieces, n = ndimage.label(ids[box] == place)
        sizes = np.bincount(pieces.ravel(), minlength=n + 1)[1:]
        if sizes.max() < SMALLEST:
            continue
        number += 1
        labels[box][pieces == int(np.argmax(sizes)) + 1] = number
    return labels, (labels > 0) | (ids == 0)


def _tissue_grey(tissue: Tissue, section: Section, kept: NDArray[np.bool_], film: Draws) -> Plane:
    """Mean grey values of one section, before the microscope."""
    field = {
        name: tissue.fields[name].plane(section.frame.z_nm)
        for name in ("wisps", "wisp_gate", "clumps", "tone")
    }
    near_one = (section.depth < 60) & kept
    depth = np.where(near_one, section.depth, np.float32(60.0))
    room = (section.gap > 14) & (depth > 8)
    grey = tissue.tones[section.owner] + field["tone"] * np.float32(9.0)
    grey += blur(film.grain(grey.shape)) * np.float32(20.0) + field["clumps"] * np.float32(11.0)
    rough = ramp(field["wisp_gate"], 4.0)
    dots = blur((film.grain(grey.shape) > 2.2).astype(np.float32)) * np.float32(150.0)
    wisps = bump(field["wisps"], 0.1, 0.12) * np.float32(50.0)
    inside = ramp(section.gap - np.float32(22.0), 0.1) * ramp(depth - np.float32(12.0), 0.1)
    grey -= (wisps * rough + dots * (rough + np.float32(0.3))) * inside
    draw_vesicles(grey, section.frame, tissue.vesicles, room, section.owner)
    draw_bodies(grey, section.frame, tissue.bodies, room, section.owner)
    grey -= bump(section.gap, 4.0, 15.0) * np.float32(78.0)
    return _add_mitochondria(grey, section, depth, film)


def _add_mitochondria(grey: Plane, section: Section, depth: Plane, film: Draws) -> Plane:
    matrix = section.matrix + blur(film.grain(grey.shape), 2) * np.float32(26.0)
    inner = ramp(-depth - np.float32(26.0), 0.1)
    matrix -= section.cristae * inner * np.float32(50.0)
    inside = ramp(-depth - np.float32(4.0), 0.125)
    grey = grey + (matrix - grey) * inside
    grey -= bump(depth, -3.0, 12.0) * np.float32(62.0)
    grey -= bump(depth, -24.0, 10.0) * np.float32(36.0)
    return grey + bump(depth, -14.0, 6.0) * np.float32(10.0)


def _expose(grey: Plane, tissue: Tissue, section: Section, film: Draws) -> NDArray[np.uint8]:
    """What the microscope makes of it: focus, contrast and brightness of this section, shading, noise."""
    grey = blur(grey, 1 if film.one(0, 1) < 0.75 else 2)
    gain, offset = np.float32(film.one(1.15, 1.5)), np.float32(film.one(-9.0, 9.0))
    grey = (grey - np.float32(140.0)) * gain + np.float32(148.0) + offset
    grey += tissue.fields["shading"].plane(section.frame.z_nm) * np.float32(10.0)
    grey += film.grain(grey.shape) * np.float32(film.one(5.0, 10.0))
    return np.rint(np.clip(grey, 0, 255)).astype(np.uint8)
