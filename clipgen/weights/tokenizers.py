"""Records of VQGANs of 2024, which were trained as image tokenizers: they keep more of a picture than those of 2021.

rFID is how far reconstructions of ImageNet's 256-pixel validation pictures are from these, as their authors measured
it; less is better, and the VQGANs of 2021 have 4.98 (16384 codes) and 7.94 (1024 codes) there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clipgen.weights.records import BY_HASH, HUB, Record

MIT, APACHE = "MIT", "Apache-2.0"
CODE_ONLY = "code MIT, no terms for these weights"


def _config(
    codes: int, width: int, quantizer: str, multipliers: Sequence[int] = (1, 1, 2, 2, 4), blocks: int = 2
) -> dict[str, Any]:
    """Return the config of a VQGAN whose encoder ends in 256 channels, with attention at its smallest resolution."""
    shape = {
        "double_z": False,
        "z_channels": 256,
        "resolution": 256,
        "in_channels": 3,
        "out_ch": 3,
        "ch": 128,
        "ch_mult": list(multipliers),
        "num_res_blocks": blocks,
        "attn_resolutions": [256 // 2 ** (len(multipliers) - 1)],
        "dropout": 0.0,
    }
    return {"embed_dim": width, "n_embed": codes, "ddconfig": shape, "quantizer": quantizer}


def _ibq(codes: int, megabytes: int, sha256: str, rfid: float, good_for: str) -> Record:
    """Return a record of IBQ's, whose files hold the weights and their moving averages, which were measured."""
    file = f"imagenet256_{codes}.ckpt"
    return Record(
        f"vqgan/ibq-f16-{codes}",
        "vqgan",
        file,
        None,
        sha256,
        (f"{HUB}/TencentARC/IBQ-Tokenizer-{codes}/resolve/main/{file}",),
        APACHE,
        _config(codes, 256, "dot", blocks=4),
        f"IBQ: ImageNet, {codes} codes, f16, fine detail (rFID {rfid})",
        megabytes,
        averaged=True,
        good_for=good_for,
        unpinned=BY_HASH,
    )


def _llamagen(
    name: str, file: str, address: str, summary: str, size: int | None, sha256: str | None, **more: Any
) -> Record:
    multipliers = (1, 2, 2, 4) if "f8" in name else (1, 1, 2, 2, 4)
    licence = MIT if sha256 else CODE_ONLY
    config = _config(16384, 8, "cosine", multipliers)
    return Record(f"vqgan/{name}", "vqgan", file, size, sha256, (address,), licence, config, summary, **more)


_LLAMAGEN = f"{HUB}/FoundationVision/LlamaGen/resolve"

_MASKGIT = {**_config(1024, 256, "nearest"), "architecture": "maskgit"}

TOKENIZERS = (
    _ibq(
        16384,
        888,
        "26ecf8be32c2796edd03d9b1aec1fe1fc18e9dae2ded51ef54b504cc32d05144",
        1.37,
        "Any picture: the finest detail of 16 x 16 pixels a code.",
    ),
    _ibq(
        1024,
        857,
        "68f6d2949a5a646acf0a384941e2ac03f3fbabf8babbe3e0a8659f6368750294",
        2.24,
        "Any picture in fine detail, with a small codebook.",
    ),
    _llamagen(
        "llamagen-f16-16384",
        "vq_ds16_c2i.pt",
        f"{_LLAMAGEN}/e467ee88f6c935f53db1c537dab4403a53c7a368/vq_ds16_c2i.pt",
        "LlamaGen: ImageNet, 16384 codes on a sphere, f16, small and quick (rFID 2.19)",
        287_920_306,
        "109aa8afb2cf3761eec23cdc8644154cb498f5ab7eef2a35264d25e5e0499f7d",
        good_for="Fine detail from a third of the download, up to 512 pixels and more.",
    ),
    _llamagen(
        "llamagen-f8-16384",
        "vq_ds8_c2i.pt",
        f"{_LLAMAGEN}/81e41139272c038412e4fe8f1c52a51ebbf95b8b/vq_ds8_c2i.pt",
        "LlamaGen: ImageNet, 16384 codes on a sphere, f8, the finest detail (rFID 0.59)",
        None,
        "c70d2966ec012f378793214ff0755087e7c5fe6f035b469995143325dca4a4e3",
        megabytes=281,
        good_for="The finest detail of all, at four times the codes.",
    ),
    _llamagen(
        "llamagen-t2i-f16-16384",
        "vq_ds16_t2i.pt",
        f"{HUB}/peizesun/llamagen_t2i/resolve/main/vq_ds16_t2i.pt",
        "LlamaGen: pictures of the web (LAION-COCO) and others, 16384 codes on a sphere, f16 (rFID 2.47)",
        None,
        None,
        megabytes=288,
        good_for="Pictures of the web rather than of ImageNet alone.",
        unpinned="no commit of peizesun/llamagen_t2i is known",
    ),
    Record(
        "vqgan/maskgit-f16-1024",
        "vqgan",
        "maskgit-vqgan-imagenet-f16-256.bin",
        None,
        None,
        (f"{HUB}/fun-research/TiTok/resolve/main/maskgit-vqgan-imagenet-f16-256.bin",),
        APACHE,
        _MASKGIT,
        "MaskGIT: ImageNet, 1024 codes, f16, without attention",
        218,
        good_for="Large pictures: it has no attention, whose cost grows fastest.",
        unpinned="no commit of fun-research/TiTok is known to hold it",
    ),
)
