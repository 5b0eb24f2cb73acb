"""Records of the published VQGANs, and of DALL-E's dVAE in its two parts.

The configs of the networks are written out here, so no YAML file has to be downloaded and trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from clipgen.weights.records import CODE_MIT, HUB, PYTTI, PYTTI_UNPINNED, Record, hub_address

HEIBOX = "https://heibox.uni-heidelberg.de"
SOMNAI = f"{HUB}/Somnai/pytti-vqgan-checkpoints/resolve/debc22c8f285c7734980c464ff992d335dde6e9a"
PIXRAY = "https://github.com/pixray/pixray/releases/download/v1.7.1"
ELEIBER = "https://github.com/Eleiber/VQGAN-Mirrors/releases/download/0.0.1"

UNSTATED = "no terms for the weights"
DALL_E = "modified MIT: say clearly that it was used"


def vqgan_config(
    codes: int,
    width: int,
    multipliers: Sequence[int],
    attention: Sequence[int],
    *,
    gumbel: bool = False,
) -> dict[str, Any]:
    """Return the config of a VQGAN, as taming-transformers' VQModel or GumbelVQ.

    multipliers: of the width, one for each resolution. attention: the resolutions with attention, at 256 pixels.
    """
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
    return {"embed_dim": width, "n_embed": codes, "ddconfig": shape} | ({"quantizer": "gumbel"} if gumbel else {})


def _f16(codes: int) -> dict[str, Any]:
    return vqgan_config(codes, 256, (1, 1, 2, 2, 4), (16,))


def _gumbel() -> dict[str, Any]:
    return vqgan_config(8192, 256, (1, 1, 2, 4), (32,), gumbel=True)


def _copy(record: Record, owner: str, *mirrors: str, licence: str = "", unpinned: str = "") -> Record:
    """Return the record of what is said to be the same file elsewhere, and is not shown to be."""
    return replace(
        record,
        name=f"{record.name}-{owner}",
        file=mirrors[0].split("/")[-1],
        size=None,
        sha256=None,
        megabytes=958,
        mirrors=mirrors,
        licence=licence or record.licence,
        summary=f"{record.summary}, {owner}'s copy",
        good_for="The same where the first source does not answer.",
        unpinned=unpinned,
    )


def _dalle(part: str, megabytes: int) -> Record:
    return Record(
        f"dvae/dall-e-{part}",
        "dvae",
        f"{part}.pkl",
        None,
        None,
        (f"https://cdn.openai.com/dall-e/{part}.pkl",),
        DALL_E,
        {"vocab_size": 8192, "n_hid": 256, "n_blk_per_group": 2, "n_init": 128},
        f"DALL-E's dVAE, its {part}: 8192 codes, f8",
        megabytes,
        good_for="The dVAE of DALL-E: soft, dreamy pictures; it needs both halves.",
    )


_IMAGENET_1024 = Record(
    "vqgan/imagenet-f16-1024",
    "vqgan",
    "last.ckpt",
    957954257,
    None,
    (
        f"{HEIBOX}/f/140747ba53464f49b476/?dl=1",  # the address that the size was seen at
        f"{HEIBOX}/d/8088892a516d4e3baf92/files/?p=%2Fckpts%2Flast.ckpt&dl=1",
    ),
    CODE_MIT,
    _f16(1024),
    "ImageNet, 1024 codes, f16",
    good_for="Bolder, blockier shapes than the 16384 codes; an old favourite.",
)
_WIKIART_1024 = Record(
    "vqgan/wikiart-f16-1024",
    "vqgan",
    "wikiart_1024.ckpt",
    None,
    None,
    (f"{PIXRAY}/vqgan_wikiart_1024.ckpt",),
    UNSTATED,
    _f16(1024),
    "WikiArt paintings, 1024 codes, f16",
    958,
    good_for="Painterly pictures with coarse strokes.",
)
VQGANS = (
    _IMAGENET_1024,
    _copy(
        _IMAGENET_1024,
        "markweber",
        *(hub_address("markweber/taming_vqgan", "taming_vqgan.ckpt", revision) for revision in ("4fe6d35", "main")),
        licence="MIT, as its uploader says",
        unpinned="of the commit only the first seven digits are known",
    ),
    _copy(
        _IMAGENET_1024,
        "nehc",
        hub_address("Nehc/vqgan_imagenet_f16_1024", "ckpts/last.ckpt"),
        unpinned="no commit of Nehc/vqgan_imagenet_f16_1024 is known",
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
        good_for="The VQGAN to begin with: it can show nearly everything.",
        unpinned=PYTTI_UNPINNED,
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
        good_for="Sharper everyday scenes than f16, at four times the codes.",
        unpinned=PYTTI_UNPINNED,
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
        good_for="As openimages-gumbel-f8-8192, tuned further for ruDALL-E.",
        unpinned="no commit of ai-forever/Sber-VQGAN is known; the sha256 holds it to the same bytes",
    ),
    _WIKIART_1024,
    _copy(_WIKIART_1024, "eleiber", f"{ELEIBER}/wikiart_1024.ckpt"),
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
        good_for="Paintings: oil, brushwork and the palettes of old masters.",
        unpinned=PYTTI_UNPINNED,
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
        good_for="Photographs of everyday scenes, from a small file.",
        unpinned=PYTTI_UNPINNED,
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
        _f16(1024),
        "FacesHQ, out of a transformer's checkpoint, 1024 codes, f16",
        good_for="Faces, and little else.",
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
        _f16(1024),  # no YAML of this one was seen; taken to be as that of FacesHQ
        "S-FLCKR, out of a transformer's checkpoint, 1024 codes, f16",
        good_for="Landscapes and skies.",
        unpinned=PYTTI_UNPINNED,
    ),
)

DALL_E_PARTS = (_dalle("encoder", 215), _dalle("decoder", 175))
