"""Records of published CLIPs: what they have in common, and OpenAI's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from clipgen.weights.records import CODE_MIT, PYTTI, PYTTI_UNPINNED, Record, hub_address

MIT = "MIT"

# Mean and standard deviation by which the input of OpenAI's CLIPs is normalised, from open_clip/constants.py.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
PREPROCESSING: Mapping[str, Any] = {"interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0}
"""How whole pictures become the input of OpenAI's CLIPs, in the words of open_clip's configs.

It holds for a config that says nothing of these."""
WEIGHTS, OLDER_WEIGHTS = "open_clip_model.safetensors", "open_clip_pytorch_model.bin"
"""The names that open_clip's authors give to files on the hub."""


def other_preprocessing(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a preprocessing says that is not as OpenAI's."""
    return {name: said[name] for name, usual in PREPROCESSING.items() if said.get(name) not in (None, usual)}


def clip_record(
    model: str,
    tag: str,
    repository: str,
    revision: str,
    size: int | None,
    sha256: str | None,
    good_for: str,
    *,
    megabytes: int | None = None,
    file: str = WEIGHTS,
    licence: str = MIT,
    quick_gelu: bool = False,
    mean: Sequence[float] = CLIP_MEAN,
    std: Sequence[float] = CLIP_STD,
    unpinned: str = "",
    **preprocessing: Any,
) -> Record:
    """Return the record of a CLIP that open_clip knows by model and tag, in a repository of the Hugging Face hub.

    tag: in the name; "" leaves it out, where a model has only one.
    preprocessing: what is not as in `PREPROCESSING`.
    """
    return Record(
        f"clip/{'-'.join(filter(None, (model.lower(), tag)))}",
        "clip",
        file,
        size,
        sha256,
        (hub_address(repository, file, revision),),
        licence,
        clip_config(model, quick_gelu=quick_gelu, mean=mean, std=std) | preprocessing,
        f"open_clip's {', '.join(filter(None, (model, tag)))}",
        megabytes,
        hub=(repository, file),
        good_for=good_for,
        unpinned=unpinned,
    )


def clip_config(
    model: str, *, quick_gelu: bool = False, mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD
) -> dict[str, Any]:
    """Return the config of a record: open_clip's name of the architecture, activation and input."""
    return {"model": model, "quick_gelu": quick_gelu, "mean": list(mean), "std": list(std)}


def _openai(model: str, size: int, sha256: str, side: int, good_for: str, file: str = "") -> Record:
    """Return the record of a CLIP of OpenAI; all were trained with QuickGELU."""
    file = file or f"{model}.pt"
    mirrors = (
        f"https://openaipublic.azureedge.net/clip/models/{sha256}/{file}",
        f"{PYTTI}/clip/{sha256}/{file}",
    )
    summary = f"OpenAI's CLIP {model}, {side} px"
    return Record(
        f"clip/openai-{model.lower()}",
        "clip",
        file,
        size,
        sha256,
        mirrors,
        CODE_MIT,
        clip_config(model, quick_gelu=True),
        summary,
        good_for=good_for,
        unpinned=PYTTI_UNPINNED,
    )


def as_safetensors(
    record: Record, repository: str, revision: str, size: int, sha256: str, licence: str = "MIT, as its uploader says"
) -> Record:
    """Return the record of the same CLIP in a file of the hub that holds tensors alone, in float32."""
    return replace(
        record,
        name=f"{record.name}-safetensors",
        file=WEIGHTS,
        size=size,
        sha256=sha256,
        mirrors=(hub_address(repository, WEIGHTS, revision),),
        licence=licence,
        hub=(repository, WEIGHTS),
        unpinned="",
        instead_of=record.name,
    )


_RN50 = _openai(
    "RN50",
    255827503,
    "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762",
    224,
    "The smallest; convolutional, so it errs otherwise than a ViT beside it.",
)
_VIT_B_32 = _openai(
    "ViT-B-32",
    353976522,
    "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af",
    224,
    "The quickest good guide; knows artists and styles by name.",
)
_VIT_B_16 = _openai(
    "ViT-B-16",
    350837078,
    "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f",
    224,
    "Finer detail than ViT-B-32, at about four times the work.",
)

OPENAI = (
    as_safetensors(
        _RN50,
        "timm/resnet50_clip.openai",
        "ec3d92cf63a5f9d591f0d611b736895966c73076",
        408291932,
        "da0baa37fb2211eee5729ab69ed587eb10d48f5b7076ceeed01552fc3d4cb4ee",
    ),
    _RN50,
    _openai(
        "RN101",
        291791292,
        "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599",
        224,
        "A little better than RN50, and still small.",
    ),
    _openai(
        "RN50x4",
        421854225,
        "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd",
        288,
        "The best small convolutional one, as a partner of a ViT.",
    ),
    _openai(
        "RN50x16",
        661125706,
        "52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa",
        384,
        "Sees 384 px: fine textures; slow.",
    ),
    _openai(
        "RN50x64",
        1353500174,
        "be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c",
        448,
        "Sees 448 px; for a large GPU and patience.",
    ),
    as_safetensors(
        _VIT_B_32,
        "timm/vit_base_patch32_clip_224.openai",
        "a6f597a30f7b82c51704746581f9a4e41421e878",
        605143284,
        "e6d1bd7789aa45192b3bf90570a789b478bae1b74ebcce7eddd908e83a2b7c31",
    ),
    _VIT_B_32,
    as_safetensors(
        _VIT_B_16,
        "timm/vit_base_patch16_clip_224.openai",
        "977e3dd0ec55ab8da155f2fbeb6b5f54948b6e3d",
        598516980,
        "4b8699299b1e8997753c64b052ba32031449d5d853f55a039148560ee02b820f",
    ),
    _VIT_B_16,
    _openai(
        "ViT-L-14",
        932768134,
        "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
        224,
        "The most faithful of OpenAI's at 224 px; for a GPU.",
    ),
    _openai(
        "ViT-L-14-336",
        934088680,
        "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
        336,
        "A strict judge; as a guide it needs a large GPU.",
        "ViT-L-14-336px.pt",
    ),
)
