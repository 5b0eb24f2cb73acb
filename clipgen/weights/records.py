"""The pretrained weights that can be downloaded, as data: where each file lies, its hash, the network it fills.

A sha256 is there only where it was published by someone who had the file; what has none is trusted on first use. The
networks' arguments are written out here, so that no YAML file of a stranger is ever read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clipgen.errors import unknown_value
from clipgen.printable import readable_bytes

HEIBOX = "https://heibox.uni-heidelberg.de"
HUB = "https://huggingface.co"
SOMNAI = f"{HUB}/Somnai/pytti-vqgan-checkpoints/resolve/debc22c8f285c7734980c464ff992d335dde6e9a"
PYTTI = f"{HUB}/pxlpshr/pytti-models/resolve/main"
PIXRAY = "https://github.com/pixray/pixray/releases/download/v1.7.1"
ELEIBER = "https://github.com/Eleiber/VQGAN-Mirrors/releases/download/0.0.1"
OMMER = "https://ommer-lab.com/files/latent-diffusion"

CODE_MIT = "code MIT, no terms for the weights"
UNSTATED = "no terms for the weights"
DALL_E = "modified MIT: say clearly that it was used"

# Mean and standard deviation of the pictures that OpenAI's CLIPs were trained on, from open_clip/constants.py.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class Record:
    """A file of pretrained weights.

    name: as it is typed, "vqgan/imagenet-f16-16384".
    kind: the network it fills: "vqgan", "dvae" or "clip".
    file: its name in the cache.
    size: in bytes; None where only `megabytes`, as published, or nothing is known.
    sha256: of the whole file; None where none is published.
    mirrors: https addresses of this very file, the most trusted first.
    licence: what is known of the terms.
    config: the network's arguments, JSON values only, and which part of the file to take: the `prefix` of its keys,
        the `member` of a zip archive.
    """

    name: str
    kind: str
    file: str
    size: int | None
    sha256: str | None
    mirrors: tuple[str, ...]
    licence: str
    config: dict[str, Any]
    summary: str
    megabytes: int | None = None


def find_record(name: str) -> Record:
    """Return the record called `name`; UsageError with the nearest name if there is none."""
    if name not in RECORDS:
        raise unknown_value("NAME", name, RECORDS)
    return RECORDS[name]


def describe_size(record: Record) -> str:
    """Say how large the file is, as far as that is known."""
    if record.size is not None:
        return readable_bytes(record.size)
    return "of unknown size" if record.megabytes is None else f"about {record.megabytes} MB"


def _autoencoder(
    codes: int,
    width: int,
    multipliers: Sequence[int],
    attention: Sequence[int],
    *,
    gumbel: bool = False,
    prefix: str = "",
    **more: str,
) -> dict[str, Any]:
    """Arguments of taming's VQModel or GumbelVQ; what all of the published ones have in common is said here."""
    shape = {
        "double_z": False,
        "z_channels": width,
        "resolution": 256,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 128,
        "ch_mult": list(multipliers),
        "num_res_blocks": 2,
        "attn_resolutions": list(attention),
        "dropout": 0.0,
    }
    return {"embed_dim": width, "n_embed": codes, "ddconfig": shape, "gumbel": gumbel, "prefix": prefix, **more}


def _f16(codes: int, prefix: str = "") -> dict[str, Any]:
    return _autoencoder(codes, 256, (1, 1, 2, 2, 4), (16,), prefix=prefix)


def _gumbel() -> dict[str, Any]:
    return _autoencoder(8192, 256, (1, 1, 2, 4), (32,), gumbel=True)


def _without_attention(config: dict[str, Any]) -> dict[str, Any]:
    """The middle block has attention whatever `attn_resolutions` says, unless its type is "none"."""
    return {**config, "ddconfig": {**config["ddconfig"], "attn_type": "none"}}


def _zipped(name: str, size: int | None, config: dict[str, Any], summary: str, *mirrors: str) -> Record:
    """Describe an autoencoder of the latent-diffusion authors, who put checkpoint and YAML into a zip archive."""
    config = {**config, "member": "model.ckpt"}
    address = f"{OMMER}/vq-{name}.zip"
    return Record(
        f"vqgan/ldm-{name}", "vqgan", f"vq-{name}.zip", None, None, (address, *mirrors), CODE_MIT, config, summary, size
    )


def _dalle(part: str, megabytes: int) -> Record:
    config = {"part": part, "vocab_size": 8192, "n_hid": 256, "n_blk_per_group": 2, "n_init": 128}
    return Record(
        f"dvae/dall-e-{part}",
        "dvae",
        f"{part}.pkl",
        None,
        None,
        (f"https://cdn.openai.com/dall-e/{part}.pkl",),
        DALL_E,
        config,
        f"DALL-E's dVAE, its {part}: 8192 codes, f8",
        megabytes,
    )


def _clip(model: str, size: int, sha256: str, side: int, file: str = "") -> Record:
    """Describe a CLIP of OpenAI; open_clip must build it with QuickGELU, which it was trained with."""
    file = file or f"{model}.pt"
    config = {
        "model": f"{model}-quickgelu",
        "quick_gelu": True,
        "mean": list(CLIP_MEAN),
        "std": list(CLIP_STD),
        "image_size": side,
        "format": "torchscript",
    }
    mirrors = (
        f"https://openaipublic.azureedge.net/clip/models/{sha256}/{file}",
        f"{PYTTI}/clip/{sha256}/{file}",
    )
    summary = f"OpenAI's CLIP {model}, {side} px"
    return Record(f"clip/openai-{model.lower()}", "clip", file, size, sha256, mirrors, CODE_MIT, config, summary)


_VQGANS = (
    Record(
        "vqgan/imagenet-f16-1024",
        "vqgan",
        "last.ckpt",
        None,
        None,
        (
            f"{HEIBOX}/d/8088892a516d4e3baf92/files/?p=%2Fckpts%2Flast.ckpt&dl=1",
            f"{HEIBOX}/f/140747ba53464f49b476/?dl=1",
            f"{HUB}/markweber/taming_vqgan/resolve/main/taming_vqgan.ckpt",
            f"{HUB}/Nehc/vqgan_imagenet_f16_1024/resolve/main/ckpts/last.ckpt",
        ),
        CODE_MIT,
        _f16(1024),
        "ImageNet, 1024 codes, f16",
        958,
    ),
    Record(
        "vqgan/imagenet-f16-16384",
        "vqgan",
        "last.ckpt",
        980092370,
        "845a68805098cb666420d5db93df53f3a3b6dd443e6dd85c05759c5b998cd663",
        (
            f"{HEIBOX}/d/a7530b09fed84f80a887/files/?p=%2Fckpts%2Flast.ckpt&dl=1",
            f"{HEIBOX}/f/867b05fc8c4841768640/?dl=1",
            f"{SOMNAI}/imagenet/imagenet.ckpt",
            f"{PYTTI}/vqgan/imagenet.ckpt",
        ),
        CODE_MIT,
        _f16(16384),
        "ImageNet, 16384 codes, f16",
    ),
    Record(
        "vqgan/openimages-gumbel-f8-8192",
        "vqgan",
        "last.ckpt",
        376581823,
        "5cd6c74810ab97e00e942c25403f73afc081e8b19987b31ec0d9ff5b68e7ab14",
        (
            f"{HEIBOX}/d/2e5662443a6b4307b470/files/?p=%2Fckpts%2Flast.ckpt&dl=1",
            f"{SOMNAI}/openimages/openimages.ckpt",
            f"{HUB}/neggles/vaedump/resolve/115a6c7eb8a93cf3114544421f1dbe1b725a99e7/taming/vq-gumbel-f8-8192/model.ckpt",
            f"{PYTTI}/vqgan/openimages.ckpt",
        ),
        CODE_MIT,
        _gumbel(),
        "OpenImages, Gumbel, 8192 codes, f8",
    ),
    Record(
        "vqgan/sber-gumbel-f8-8192",
        "vqgan",
        "vqgan.gumbelf8-sber.model.ckpt",
        None,
        "7be00096299fe50bbcc1a2ed01fe28561464de5020c7c6b5b4a728d3b515c3fb",
        (
            f"{HUB}/ai-forever/Sber-VQGAN/resolve/main/vqgan.gumbelf8-sber.model.ckpt",
            f"{HUB}/shonenkov/rudalle-utils/resolve/2b0666815f19de86332d67bf4f1f3c9bfe60fbad/vqgan.gumbelf8-sber.model.ckpt",
        ),
        UNSTATED,
        _gumbel(),
        "ruDALL-E's, Gumbel, 8192 codes, f8",
        346,
    ),
    Record(
        "vqgan/wikiart-f16-1024",
        "vqgan",
        "wikiart_1024.ckpt",
        None,
        None,
        (f"{PIXRAY}/vqgan_wikiart_1024.ckpt", f"{ELEIBER}/wikiart_1024.ckpt"),
        UNSTATED,
        _f16(1024),
        "WikiArt paintings, 1024 codes, f16",
        958,
    ),
    Record(
        "vqgan/wikiart-f16-16384",
        "vqgan",
        "wikiart_16384.ckpt",
        1005327541,
        "bd08bb46301f98be1712bb2be9f8868cea30b53137cd985d4d6e8da8b3e02c36",
        (
            f"{SOMNAI}/wikiart/wikiart.ckpt",
            f"{PIXRAY}/vqgan_wikiart_16384.ckpt",
            f"{ELEIBER}/wikiart_16384.ckpt",
            f"{PYTTI}/vqgan/wikiart.ckpt",
        ),
        UNSTATED,
        _f16(16384),
        "WikiArt paintings, 16384 codes, f16",
    ),
    Record(
        "vqgan/coco-f16-8192",
        "vqgan",
        "coco_first_stage.ckpt",
        296030214,
        "106cc20fde571df14afc4349d62218d8213cf47177c682ecaa78a8c28b12f9de",
        (
            f"{SOMNAI}/coco/coco.ckpt",
            f"{PYTTI}/vqgan/coco_first_stage.ckpt",
            "https://batbot.ai/models/VQGAN/coco_first_stage.ckpt",
        ),
        UNSTATED,
        _f16(8192),  # the number of codes follows from the size of the file
        "COCO, 8192 codes, f16",
    ),
    Record(
        "vqgan/faceshq-f16-1024",
        "vqgan",
        "last.ckpt",
        None,
        "3274bba51bd565c90990bbcf7bb5dad0b9b95a6a77011980afc4c3cfc4d1cad1",
        (
            f"{SOMNAI}/faceshq/faceshq.ckpt",
            "https://app.koofr.net/content/links/a04deec9-0c59-4673-8b37-3d696fe63a5d/files/get/last.ckpt"
            "?path=%2F2020-11-13T21-41-45_faceshq_transformer%2Fcheckpoints%2Flast.ckpt",
        ),
        CODE_MIT,
        _f16(1024, "first_stage_model."),
        "FacesHQ, out of a transformer's checkpoint, 1024 codes, f16",
    ),
    Record(
        "vqgan/sflckr-f16-1024",
        "vqgan",
        "last.ckpt",
        4263525412,
        "8a8adea3da8dab412675772831370dd948e0aa97bb11a9488a2f328b58dbc929",
        (
            f"{HEIBOX}/d/73487ab6e5314cb5adba/files/?p=%2Fcheckpoints%2Flast.ckpt&dl=1",
            f"{SOMNAI}/sflickr/sflickr.ckpt",
            f"{PYTTI}/vqgan/sflckr.ckpt",
        ),
        CODE_MIT,
        _f16(1024, "first_stage_model."),  # no YAML of this one was seen; taken to be as that of FacesHQ
        "S-FLCKR, out of a transformer's checkpoint, 1024 codes, f16",
    ),
    _zipped(
        "f4",
        756,
        _autoencoder(
            8192,
            3,
            (1, 2, 4),
            (),
            member_sha256="aacf13951f4b18f5af9b47febdc696cf9559305d6de0821084abeaf342439251",
        ),
        "latent diffusion's, 8192 codes, f4",
    ),
    _zipped(
        "f4-noattn",
        None,
        _without_attention(_autoencoder(8192, 3, (1, 2, 4), ())),
        "latent diffusion's, 8192 codes, f4, without attention",
        f"{HEIBOX}/f/9c6681f64bb94338a069/?dl=1",
    ),
    _zipped("f8", 880, _autoencoder(16384, 4, (1, 2, 2, 4), (32,)), "latent diffusion's, 16384 codes, f8"),
    _zipped("f8-n256", 904, _autoencoder(256, 4, (1, 2, 2, 4), (32,)), "latent diffusion's, 256 codes, f8"),
    _zipped(
        "f16",
        902,
        _autoencoder(16384, 8, (1, 1, 2, 2, 4), (16,)),
        "latent diffusion's, 16384 codes, f16",
        f"{HEIBOX}/f/0e42b04e2e904890a9b6/?dl=1",
    ),
)

_CLIPS = (
    _clip("RN50", 255827503, "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762", 224),
    _clip("RN101", 291791292, "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599", 224),
    _clip("RN50x4", 421854225, "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd", 288),
    _clip("RN50x16", 661125706, "52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa", 384),
    _clip("RN50x64", 1353500174, "be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c", 448),
    _clip("ViT-B-32", 353976522, "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af", 224),
    _clip("ViT-B-16", 350837078, "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f", 224),
    _clip("ViT-L-14", 932768134, "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836", 224),
    _clip(
        "ViT-L-14-336",
        934088680,
        "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
        336,
        "ViT-L-14-336px.pt",
    ),
)

RECORDS: dict[str, Record] = {
    record.name: record for record in (*_VQGANS, _dalle("encoder", 215), _dalle("decoder", 175), *_CLIPS)
}
"""Every checkpoint that can be pulled, by name."""
