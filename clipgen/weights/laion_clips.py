"""Records of the CLIPs that open_clip's authors trained on LAION and DataComp, and of a score made from one of them."""

from __future__ import annotations

from clipgen.weights.clips import OLDER_WEIGHTS, as_safetensors, clip_config, clip_record
from clipgen.weights.records import Record, hub_address

BY_HASH = "the commit is not published; the sha256 holds it to the same bytes"

_VIT_H_14 = clip_record(
    "ViT-H-14",
    "laion2b_s32b_b79k",
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
    "main",
    3944692325,
    "9a78ef8e8c73fd0df621682e7a8e8eb36c6916cb3c16b291a082ecd52ab79cc4",
    "A huge judge, whose relatives score pictures for people's taste.",
    file=OLDER_WEIGHTS,
    unpinned=BY_HASH,
)

LAION = (
    clip_record(
        "ViT-B-32",
        "laion2b_s34b_b79k",
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        "1a25a446712ba5ee05982a381eed697ef9b435cf",
        605143316,
        "ac4f8c4b88af6d963118cbf40ad93176d092abbedfcb752601ae1866352656e6",
        "As quick as OpenAI's ViT-B-32, with open training data; a good partner.",
    ),
    clip_record(
        "ViT-B-32",
        "datacomp_xl_s13b_b90k",
        "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K",
        "f0e2ffa09cbadab3db6a261ec1ec56407ce42912",
        None,
        "3c00043509d2e3f35ec62bd85a643a393883dcda624d8208d034cc390c708297",
        "The most accurate of the quick ones at 224 px.",
        megabytes=605,
    ),
    clip_record(
        "ViT-B-32-256",
        "datacomp_s34b_b86k",
        "laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K",
        "4afec35ffe57a943d569ff7ee888061830164da8",
        605189364,
        "92c26d60d3200ed5ed040dff31a8d19f8140648da8007216c25744c478deef27",
        "As quick, at 256 px and more accurate still.",
    ),
    clip_record(
        "ViT-B-16",
        "laion2b_s34b_b88k",
        "laion/CLIP-ViT-B-16-laion2B-s34B-b88K",
        "7288da5a0d6f0b51c4a2b27c624837a9236d0112",
        None,
        None,
        "Fine detail, with open training data.",
        megabytes=599,
    ),
    clip_record(
        "ViT-B-16",
        "datacomp_xl_s13b_b90k",
        "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K",
        "05fa70d888b3dcddcaeb5906c71e35e736bc8d42",
        None,
        "783dcd825e1a3532faa77a2537bbc041353779a7579d904e547a61d5aa18ac24",
        "The best balance of detail, accuracy and speed.",
        megabytes=599,
        file="open_clip_pytorch_model.safetensors",
    ),
    clip_record(
        "ViT-L-14",
        "laion2b_s32b_b82k",
        "laion/CLIP-ViT-L-14-laion2B-s32B-b82K",
        "main",
        None,
        "5ddb47339f44e4fd9cace3d3960d38af1b51a25857440cfae90afc44706d7e2b",
        "Large, with open training data; for a GPU.",
        megabytes=1711,
        file=OLDER_WEIGHTS,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        unpinned=BY_HASH,
    ),
    clip_record(
        "ViT-L-14",
        "datacomp_xl_s13b_b90k",
        "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K",
        "84c9828e63dc9a9351d1fe637c346d4c1c4db341",
        None,
        None,
        "One of the most accurate judges with free weights.",
        megabytes=1711,
        file=OLDER_WEIGHTS,
    ),
    as_safetensors(
        _VIT_H_14,
        "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        "1c2b8495b28150b8a4922ee1c8edee224c284c0c",
        3944517836,
        "0084e75319a50ad85ef45377bad5bc38f2f58824459eb690048d51c9f8863be5",
        _VIT_H_14.licence,
    ),
    _VIT_H_14,
    clip_record(
        "convnext_base_w",
        "laion2b_s13b_b82k_augreg",
        "laion/CLIP-convnext_base_w-laion2B-s13B-b82K-augreg",
        "main",
        None,
        "249e2302c1670bb04476792196f788ff046fedef61191a24983e61b6eca56987",
        "Convolutional: a partner that errs otherwise than ViTs.",
        megabytes=718,
        file=OLDER_WEIGHTS,
        unpinned=BY_HASH,
    ),
)

PREFERENCE = Record(
    "clip/hps-v2.1",
    "clip",
    "HPS_v2.1_compressed.pt",
    None,
    None,
    (hub_address("xswu/HPSv2", "HPS_v2.1_compressed.pt"),),
    "Apache-2.0",
    # Whole pictures are fitted into a black square, as in hpsv2's own transform.
    clip_config("ViT-H-14") | {"interpolation": "bicubic", "resize_mode": "longest", "fill_color": 0},
    "Human Preference Score v2.1, a ViT-H-14 tuned to what people prefer",
    hub=("xswu/HPSv2", "HPS_v2.1_compressed.pt"),
    good_for="Judges which picture of a prompt people would like better.",
    unpinned="no commit of xswu/HPSv2 is known",
)
