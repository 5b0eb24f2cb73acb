"""Records of CLIPs of 2023 and later that open_clip builds without further packages.

SigLIP, MetaCLIP 2 and CLIPA read texts by tokenizers that open_clip does not bring; `--clip hf-hub:OWNER/NAME` takes
them where these are installed.
"""

from __future__ import annotations

from functools import partial

from clipgen.weights.clips import OLDER_WEIGHTS, clip_record

APACHE = "Apache-2.0"
RESEARCH = "Apple's, for research only"
NON_COMMERCIAL = "CC-BY-NC-4.0: not for commercial use"

_HALF = (0.5,) * 3
_pe = partial(
    clip_record,
    tag="",
    size=None,
    licence=APACHE,
    mean=_HALF,
    std=_HALF,
    interpolation="bilinear",
    resize_mode="squash",
)
_mobile = partial(
    clip_record,
    tag="dfndr2b",
    revision="main",
    size=None,
    sha256=None,
    licence=RESEARCH,
    interpolation="bilinear",
    unpinned="no commit of it is known",
)
_dfn = partial(
    clip_record,
    size=None,
    file=OLDER_WEIGHTS,
    licence=RESEARCH,
    quick_gelu=True,
)
_meta = partial(
    clip_record,
    tag="metaclip_fullcc",
    revision="main",
    size=None,
    sha256=None,
    licence=NON_COMMERCIAL,
    quick_gelu=True,
    unpinned="no commit of it is known",
)

PERCEPTION_ENCODERS = (
    _pe(
        "PE-Core-T-16-384",
        repository="timm/PE-Core-T-16-384",
        revision="7fe539ed578ac49a1c2b4f946e4b0747704c825a",
        sha256=None,
        megabytes=278,
        good_for="Tiny: quick on a CPU; it reads 32 tokens.",
    ),
    _pe(
        "PE-Core-S-16-384",
        repository="timm/PE-Core-S-16-384",
        revision="3249a38eb1c432ec19231c6fe1774acb6a4e4efe",
        sha256=None,
        megabytes=349,
        good_for="Small and accurate; it reads 32 tokens.",
    ),
    _pe(
        "PE-Core-B-16",
        repository="timm/PE-Core-B-16",
        revision="0038414f37721c5eafc1a5e0da802d291c909de3",
        sha256=None,
        megabytes=1791,
        good_for="A modern guide of base size, as accurate as OpenAI's largest; 32 tokens.",
    ),
    _pe(
        "PE-Core-L-14-336",
        repository="timm/PE-Core-L-14-336",
        revision="8eff41b3f687e50a323662c2dda5eb3588c6dd35",
        sha256="b1fff7093c32a01d98a2d82098f9adf788b30f0efee639916520b3e4302f786b",
        megabytes=2685,
        good_for="A judge that differs in kind from what guides; 32 tokens; for a GPU.",
    ),
    _pe(
        "PE-Core-bigG-14-448",
        repository="timm/PE-Core-bigG-14-448",
        revision="17aa0c25addfa14198fa2ff73d845a22d433432e",
        sha256=None,
        megabytes=9677,
        good_for="The most accurate judge of all; 72 tokens; for a large GPU.",
    ),
)

OTHERS = (
    _dfn(
        "ViT-B-16",
        tag="dfn2b",
        repository="apple/DFN2B-CLIP-ViT-B-16",
        revision="main",
        sha256=None,
        megabytes=599,
        good_for="The most accurate ViT-B-16; trained on strictly filtered data.",
        unpinned="no commit of it is known",
    ),
    _dfn(
        "ViT-L-14",
        tag="dfn2b",
        repository="apple/DFN2B-CLIP-ViT-L-14",
        revision="main",
        sha256=None,
        megabytes=1711,
        good_for="The most accurate ViT-L-14 at 224 px; for a GPU.",
        unpinned="no commit of it is known",
    ),
    _dfn(
        "ViT-H-14",
        tag="dfn5b",
        repository="apple/DFN5B-CLIP-ViT-H-14",
        revision="11738501a1db6d5e0a3451a71ba100be02e577e6",
        sha256="d67de50faa7f3ddce52fbab4f4656b04686a0bb15c26ebd0144d375cfa08b8ae",
        megabytes=3944,
        good_for="A huge and very accurate judge.",
        resize_mode="squash",
    ),
    _meta(
        "ViT-B-16",
        repository="timm/vit_base_patch16_clip_224.metaclip_2pt5b",
        megabytes=599,
        good_for="OpenAI's recipe with data that is known.",
    ),
    _meta(
        "ViT-L-14",
        repository="timm/vit_large_patch14_clip_224.metaclip_2pt5b",
        megabytes=1711,
        good_for="The same, large; for a GPU.",
    ),
    clip_record(
        "EVA02-L-14",
        "merged2b_s4b_b131k",
        "timm/eva02_large_patch14_clip_224.merged2b_s4b_b131k",
        "bf4190eb65dd5204ffb03e980108beb1200e0873",
        855584096,
        "00af04296f09f24dcc69559440a80b7a44daf4855a72827e016067e6e571b851",
        "Accurate for its size; half the download of other large ones.",
    ),
    _mobile(
        "MobileCLIP2-S2",
        repository="timm/MobileCLIP2-S2-OpenCLIP",
        megabytes=398,
        good_for="Small, convolutional and accurate; quick on a CPU.",
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
    ),
    _mobile(
        "MobileCLIP2-B",
        repository="timm/MobileCLIP2-B-OpenCLIP",
        megabytes=599,
        good_for="A base-size ViT that rivals large ones.",
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
    ),
    _mobile(
        "MobileCLIP2-S4",
        repository="timm/MobileCLIP2-S4-OpenCLIP",
        megabytes=1783,
        good_for="The largest of the family; convolutional, very accurate.",
    ),
)

MODERN = (*PERCEPTION_ENCODERS, *OTHERS)
