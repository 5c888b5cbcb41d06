"""The cards of all baselines, and which module each one lives in. Nothing is built and nothing is imported here."""

from mitobench.segmenter import BaselineCard

_SAM = "https://doi.org/10.1109/ICCV51070.2023.00371"

BASELINES: dict[str, BaselineCard] = {
    card.key: card
    for card in (
        BaselineCard(
            key="empty",
            title="Empty",
            summary="Control: predicts that nothing is a mitochondrion. Learns nothing and never sees the image.",
            trainable=False,
            runs_untrained=True,
        ),
        BaselineCard(
            key="everything",
            title="Everything",
            summary="Control: predicts that every voxel is a mitochondrion. Scores the share of foreground.",
            trainable=False,
            runs_untrained=True,
        ),
        BaselineCard(
            key="threshold",
            title="Smoothed threshold",
            summary="Control: blurs each slice, keeps one band of grey values and drops small pieces. Four numbers "
            "are fitted to the training volumes.",
            trainable=True,
            runs_untrained=False,
        ),
        BaselineCard(
            key="unet",
            title="U-Net (MONAI, 2-D)",
            summary="A small U-Net trained from a random start on half-resolution slices with Dice and cross-entropy.",
            trainable=True,
            runs_untrained=False,
            source="https://doi.org/10.1007/978-3-030-12029-0_40",
            extra="train",
            parameters=402_442,
        ),
        BaselineCard(
            key="unet-3d",
            title="U-Net (MONAI, 3-D)",
            summary="A U-Net trained from a random start on stacks of half-resolution slices; kernels and halvings "
            "leave z alone while slices are thicker than pixels are wide.",
            trainable=True,
            runs_untrained=False,
            source="https://doi.org/10.1038/s41592-020-01008-z",
            extra="train",
            parameters=1_412_401,
        ),
        BaselineCard(
            key="sam-vit-tiny",
            title="SAM, tiny ViT",
            summary="The parts of Segment Anything put together at toy size. It has no official weights: every start "
            "is random, so it tests the recipe and says nothing about pretrained SAM.",
            trainable=True,
            runs_untrained=True,
            source=_SAM,
            extra="train",
            parameters=513_256,
        ),
        BaselineCard(
            key="sam-hybrid",
            title="SAM, hybrid",
            summary="A small SAM made for random starts: convolutions in place of its linear patches, and their finer "
            "maps for its mask decoder, as in SAM 2. It has no official weights.",
            trainable=True,
            runs_untrained=True,
            source="https://doi.org/10.48550/arXiv.2408.00714",
            extra="train",
            parameters=2_267_152,
        ),
        BaselineCard(
            key="sam-vit-b",
            title="SAM ViT-B",
            summary="Segment Anything, smallest official size: zero-shot from a grid of points, or fine-tuned without "
            "prompts.",
            trainable=True,
            runs_untrained=True,
            source=_SAM,
            extra="train",
            parameters=93_735_472,
        ),
        BaselineCard(
            key="sam-vit-l",
            title="SAM ViT-L",
            summary="Segment Anything, middle official size: zero-shot from a grid of points, or fine-tuned without "
            "prompts.",
            trainable=True,
            runs_untrained=True,
            source=_SAM,
            extra="train",
            parameters=312_342_832,
        ),
        BaselineCard(
            key="sam-vit-h",
            title="SAM ViT-H",
            summary="Segment Anything, largest official size: zero-shot from a grid of points, or fine-tuned without "
            "prompts.",
            trainable=True,
            runs_untrained=True,
            source=_SAM,
            extra="train",
            parameters=641_090_608,
        ),
    )
}
"""Every baseline by key, controls first."""

ROOMS: dict[str, str] = {
    "empty": "mitobench.baselines.trivial",
    "everything": "mitobench.baselines.trivial",
    "threshold": "mitobench.baselines.threshold",
    "unet": "mitobench.baselines.unet",
    "unet-3d": "mitobench.baselines.unet_3d",
    "sam-vit-tiny": "mitobench.baselines.sam.baseline",
    "sam-hybrid": "mitobench.baselines.sam.baseline",
    "sam-vit-b": "mitobench.baselines.sam.baseline",
    "sam-vit-l": "mitobench.baselines.sam.baseline",
    "sam-vit-h": "mitobench.baselines.sam.baseline",
}
"""The module that holds `load`, and for trainable ones `SETTINGS`, `train` and `restore`."""
