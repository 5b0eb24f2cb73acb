"""Records of published CLIPs: OpenAI's, and those that open_clip's authors trained on LAION and DataComp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from clipgen.weights.records import CODE_MIT, HUB, PYTTI, Record

MIT = "MIT"

# Mean and standard deviation by which the input of OpenAI's CLIPs is normalised, from open_clip/constants.py.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
PREPROCESSING: Mapping[str, Any] = {"interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0}
"""How whole pictures become the input of OpenAI's CLIPs, in the words of open_clip's configs.

It holds for a config that says nothing of these. All CLIPs below are of that kind."""


def other_preprocessing(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a preprocessing says that is not as OpenAI's."""
    return {name: said[name] for name, usual in PREPROCESSING.items() if said.get(name) not in (None, usual)}


def _clip_config(
    model: str, *, quick_gelu: bool = False, mean: Sequence[float], std: Sequence[float]
) -> dict[str, Any]:
    return {"model": model, "quick_gelu": quick_gelu, "mean": list(mean), "std": list(std)}


def _openai(model: str, size: int, sha256: str, side: int, file: str = "") -> Record:
    """Return the record of a CLIP of OpenAI; all were trained with QuickGELU."""
    file = file or f"{model}.pt"
    config = _clip_config(model, quick_gelu=True, mean=CLIP_MEAN, std=CLIP_STD)
    mirrors = (
        f"https://openaipublic.azureedge.net/clip/models/{sha256}/{file}",
        f"{PYTTI}/clip/{sha256}/{file}",
    )
    summary = f"OpenAI's CLIP {model}, {side} px"
    return Record(f"clip/openai-{model.lower()}", "clip", file, size, sha256, mirrors, CODE_MIT, config, summary)


def _laion(
    model: str,
    tag: str,
    repository: str,
    megabytes: int,
    *,
    mean: Sequence[float] = CLIP_MEAN,
    std: Sequence[float] = CLIP_STD,
) -> Record:
    """Return the record of a CLIP that open_clip knows by model and tag, in a repository of the Hugging Face hub."""
    file = "open_clip_pytorch_model.bin"
    return Record(
        f"clip/{model.lower()}-{tag}",
        "clip",
        file,
        None,
        None,
        (f"{HUB}/{repository}/resolve/main/{file}",),
        MIT,
        _clip_config(model, mean=mean, std=std),
        f"open_clip's {model}, {tag}",
        megabytes,
        hub=(repository, file),
    )


CLIPS = (
    _openai("RN50", 255827503, "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762", 224),
    _openai("RN101", 291791292, "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599", 224),
    _openai("RN50x4", 421854225, "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd", 288),
    _openai("RN50x16", 661125706, "52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa", 384),
    _openai("RN50x64", 1353500174, "be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c", 448),
    _openai("ViT-B-32", 353976522, "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af", 224),
    _openai("ViT-B-16", 350837078, "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f", 224),
    _openai("ViT-L-14", 932768134, "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836", 224),
    _openai(
        "ViT-L-14-336",
        934088680,
        "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
        336,
        "ViT-L-14-336px.pt",
    ),
    replace(
        _laion("ViT-B-32", "laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", 605),
        file="open_clip_model.safetensors",
        size=605143316,
        sha256="ac4f8c4b88af6d963118cbf40ad93176d092abbedfcb752601ae1866352656e6",
        mirrors=(
            f"{HUB}/laion/CLIP-ViT-B-32-laion2B-s34B-b79K/resolve/1a25a446712ba5ee05982a381eed697ef9b435cf/"
            "open_clip_model.safetensors",
        ),
        hub=("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "open_clip_model.safetensors"),
    ),
    _laion("ViT-B-32", "datacomp_xl_s13b_b90k", "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K", 605),
    _laion("ViT-B-32-256", "datacomp_s34b_b86k", "laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K", 605),
    _laion("ViT-B-16", "laion2b_s34b_b88k", "laion/CLIP-ViT-B-16-laion2B-s34B-b88K", 599),
    _laion("ViT-B-16", "datacomp_xl_s13b_b90k", "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K", 599),
    _laion(
        "ViT-L-14", "laion2b_s32b_b82k", "laion/CLIP-ViT-L-14-laion2B-s32B-b82K", 1711, mean=(0.5,) * 3, std=(0.5,) * 3
    ),
    _laion("ViT-L-14", "datacomp_xl_s13b_b90k", "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K", 1711),
    _laion("ViT-H-14", "laion2b_s32b_b79k", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", 3944),
    Record(
        "clip/hps-v2.1",
        "clip",
        "HPS_v2.1_compressed.pt",
        None,
        None,
        (f"{HUB}/xswu/HPSv2/resolve/main/HPS_v2.1_compressed.pt",),
        "Apache-2.0",
        # Whole pictures are fitted into a black square, as in hpsv2's own transform.
        _clip_config("ViT-H-14", mean=CLIP_MEAN, std=CLIP_STD)
        | {"interpolation": "bicubic", "resize_mode": "longest", "fill_color": 0},
        "Human Preference Score v2.1, a ViT-H-14 tuned to what people prefer",
        hub=("xswu/HPSv2", "HPS_v2.1_compressed.pt"),
    ),
    _laion("convnext_base_w", "laion2b_s13b_b82k_augreg", "laion/CLIP-convnext_base_w-laion2B-s13B-b82K-augreg", 718),
)
