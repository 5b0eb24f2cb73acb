"""Records of latent diffusion's autoencoders with codebooks (Rombach et al., 2022, arXiv 2112.10752)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clipgen.weights.autoencoders import HEIBOX, vqgan_config
from clipgen.weights.records import CODE_MIT, Record, hub_address

OMMER = "https://ommer-lab.com/files/latent-diffusion"
NEGGLES = "115a6c7eb8a93cf3114544421f1dbe1b725a99e7"
"""A commit of neggles/vaedump on the hub."""


def _without_attention(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config without attention in the middle block, where `attn_resolutions` has no say."""
    return {**config, "ddconfig": {**config["ddconfig"], "attn_type": "none"}}


def _zipped(name: str, config: dict[str, Any], summary: str, good_for: str, *mirrors: str) -> Record:
    """Return the record of an autoencoder of latent diffusion, a zip archive with checkpoint and YAML file.

    The size of the archive is not published, only that of the checkpoint inside.
    """
    return Record(
        f"vqgan/ldm-{name}",
        "vqgan",
        f"vq-{name}.zip",
        None,
        None,
        (f"{OMMER}/vq-{name}.zip", *mirrors),
        CODE_MIT,
        config,
        summary,
        member="model.ckpt",
        good_for=good_for,
    )


def _unzipped(zipped: Record, megabytes: int) -> Record:
    """Return the record of the checkpoint itself, as somebody uploaded it to the hub.

    Whether it is that one is not shown.
    """
    file = "model.ckpt"
    path = f"taming/{zipped.file.removesuffix('.zip')}/{file}"
    mirrors = tuple(hub_address("neggles/vaedump", path, revision) for revision in (NEGGLES, "main"))
    return replace(
        zipped,
        name=f"{zipped.name}-neggles",
        file=file,
        mirrors=mirrors,
        summary=f"{zipped.summary}, a copy of the checkpoint alone",
        megabytes=megabytes,
        member=None,
        good_for="The same where the authors' server does not answer.",
        unpinned="it is not known whether that commit of neggles/vaedump has this file",
    )


_LDM_F4 = _zipped(
    "f4",
    vqgan_config(8192, 3, (1, 2, 4), ()),
    "latent diffusion's, 8192 codes, f4",
    "Fine detail at four pixels a code; slow, and CLIP's noise shows.",
)
_LDM_F8 = _zipped(
    "f8",
    vqgan_config(16384, 4, (1, 2, 2, 4), (32,)),
    "latent diffusion's, 16384 codes, f8",
    "Sharper than f16, at four times the codes.",
)
_LDM_F8_N256 = _zipped(
    "f8-n256",
    vqgan_config(256, 4, (1, 2, 2, 4), (32,)),
    "latent diffusion's, 256 codes, f8",
    "Few codes at f8: less noise than its larger sister.",
)
_LDM_F16 = _zipped(
    "f16",
    vqgan_config(16384, 8, (1, 1, 2, 2, 4), (16,)),
    "latent diffusion's, 16384 codes, f16",
    "Latent diffusion's answer to imagenet-f16-16384.",
    f"{HEIBOX}/f/0e42b04e2e904890a9b6/?dl=1",
)

LATENT_DIFFUSION = (
    replace(
        _LDM_F4,
        name="vqgan/ldm-f4-unzipped",
        file="vq-f4.ckpt",
        size=756175527,
        sha256="aacf13951f4b18f5af9b47febdc696cf9559305d6de0821084abeaf342439251",
        mirrors=(hub_address("taohu/dd", "vq-f4.ckpt"),),
        summary=f"{_LDM_F4.summary}, the checkpoint alone",
        member=None,
        unpinned="no commit of taohu/dd is known; the sha256 holds it to the same bytes",
        instead_of=_LDM_F4.name,
    ),
    _LDM_F4,
    _zipped(
        "f4-noattn",
        _without_attention(vqgan_config(8192, 3, (1, 2, 4), ())),
        "latent diffusion's, 8192 codes, f4, without attention",
        "As ldm-f4, with less memory for large pictures.",
        f"{HEIBOX}/f/9c6681f64bb94338a069/?dl=1",
    ),
    _LDM_F8,
    _unzipped(_LDM_F8, 880),
    _LDM_F8_N256,
    _unzipped(_LDM_F8_N256, 904),
    _LDM_F16,
    _unzipped(_LDM_F16, 902),
)
