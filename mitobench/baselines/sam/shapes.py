"""Sizes of Segment Anything and the official weight files, as tables of facts. Nothing is built or read here."""

from dataclasses import dataclass

WEIGHTS_URL = "https://dl.fbaipublicfiles.com/segment_anything/"


@dataclass(frozen=True, kw_only=True)
class OfficialFile:
    """One file of official weights.

    Attributes:
        name: File name below WEIGHTS_URL. The six hex digits in it are of the MD5, not of the sha256.
        n_bytes: Its length.
        sha256: Of its bytes.
    """

    name: str
    n_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class SamShape:
    """Everything that fixes the layout of the weights.

    Attributes:
        embed_dim: Width of the image encoder.
        depth: Its number of blocks.
        heads: Attention heads in each.
        global_blocks: Blocks that attend to the whole image; the others attend in windows.
        window: Side of those windows, in patches of 16 pixels.
        image_size: Side of the image that the positions are made for, in pixels.
        channels: Of the image.
        prompt_dim: Width of embedding, prompts and mask decoder.
        decoder_mlp: Hidden width of the mask decoder's blocks.
        decoder_heads: Attention heads in each.
        mean: Grey value that becomes 0, by channel.
        std: Grey values per unit, by channel.
        stem: Channels of a convolutional stem, one for each halving of the side; empty for SAM's own linear patches.
        official: The published weights; None for sizes of our own.
    """

    embed_dim: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]
    window: int = 14
    image_size: int = 1024
    channels: int = 3
    prompt_dim: int = 256
    decoder_mlp: int = 2048
    decoder_heads: int = 8
    mean: tuple[float, ...] = (123.675, 116.28, 103.53)
    std: tuple[float, ...] = (58.395, 57.12, 57.375)
    stem: tuple[int, ...] = ()
    official: OfficialFile | None = None


SHAPES: dict[str, SamShape] = {
    "sam-vit-tiny": SamShape(
        embed_dim=96,
        depth=2,
        heads=3,
        global_blocks=(0, 1),
        image_size=256,
        channels=1,
        prompt_dim=64,
        decoder_mlp=256,
        decoder_heads=4,
        mean=(127.5,),
        std=(64.0,),
    ),
    "sam-hybrid": SamShape(
        embed_dim=128,
        depth=4,
        heads=4,
        global_blocks=(0, 1, 2, 3),
        image_size=256,
        channels=1,
        prompt_dim=128,
        decoder_mlp=512,
        decoder_heads=4,
        mean=(127.5,),
        std=(64.0,),
        stem=(16, 32, 64, 128),
    ),
    "sam-vit-b": SamShape(
        embed_dim=768,
        depth=12,
        heads=12,
        global_blocks=(2, 5, 8, 11),
        official=OfficialFile(
            name="sam_vit_b_01ec64.pth",
            n_bytes=375_042_383,
            sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        ),
    ),
    "sam-vit-l": SamShape(
        embed_dim=1024,
        depth=24,
        heads=16,
        global_blocks=(5, 11, 17, 23),
        official=OfficialFile(
            name="sam_vit_l_0b3195.pth",
            n_bytes=1_249_524_607,
            sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        ),
    ),
    "sam-vit-h": SamShape(
        embed_dim=1280,
        depth=32,
        heads=16,
        global_blocks=(7, 15, 23, 31),
        official=OfficialFile(
            name="sam_vit_h_4b8939.pth",
            n_bytes=2_564_550_879,
            sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        ),
    ),
}
"""The shape behind each baseline key."""
