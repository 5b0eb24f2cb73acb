"""Records of DALL-E mini and mega (Dayma et al., 2021), of their texts' tokenizers, and of the VQGAN that they know.

That VQGAN is taming's of ImageNet, but its authors gave it pixels in [0, 1] where taming gives it [-1, 1], and clip
what it draws to [0, 1]. Codes that DALL-E mini writes make pale pictures in any other.
"""

from __future__ import annotations

from typing import Any

from clipgen.weights.autoencoders import vqgan_config
from clipgen.weights.records import HUB, Record

APACHE = "Apache-2.0"
FILE, TOKENIZER = "flax_model.msgpack", "tokenizer.json"
CODES = 16384


def _config(width: int, layers: int, inner: int, texts: int, codes: int) -> dict[str, Any]:
    """Return the published config.json without what only training needed.

    codes: as `image_vocab_size` counts them; beyond `CODES` there are none in the VQGAN, and none is drawn.
    """
    part = {"layers": layers, "attention_heads": width // 64, "ffn_dim": inner}
    return {
        "d_model": width,
        "encoder_vocab_size": texts,
        "image_vocab_size": codes,
        "codes": CODES,
        "max_text_length": 64,
        "image_length": 256,
        "decoder_start_token_id": CODES,
        **{f"encoder_{name}": value for name, value in part.items()},
        **{f"decoder_{name}": value for name, value in part.items()},
    }


def _unpinned(repository: str) -> str:
    return f"no commit of {repository} is known"


def _prior(size: str, megabytes: int | None, good_for: str) -> Record:
    repository = f"dalle-mini/dalle-{size}"
    return Record(
        f"dalle-mini/{size}",
        "dalle-mini",
        FILE,
        None,
        None,
        (f"{HUB}/{repository}/resolve/main/{FILE}",),
        APACHE,
        CONFIGS[size],
        f"DALL-E {size}: {PARAMETERS[size]} parameters, 256 codes of {VQGAN}",
        megabytes,
        hub=(repository, FILE),
        good_for=good_for,
        unpinned=_unpinned(repository),
    )


def _half(size: str, part: str, megabytes: int) -> Record:
    """Return the record of encoder or decoder in 16 bits, as kuprel keeps them for min-dalle."""
    file = f"{part}{'' if size == 'mega' else f'_{size}'}.pt"
    return Record(
        f"dalle-mini/{size}-kuprel-{part}",
        "dalle-mini",
        file,
        None,
        None,
        (f"{HUB}/kuprel/min-dalle/resolve/main/{file}",),
        APACHE,
        CONFIGS[size],
        f"DALL-E {size}, its {part} in 16 bits, kuprel's copy",
        megabytes,
        hub=("kuprel/min-dalle", file),
        good_for="The same from half the download; it needs both halves.",
        unpinned=_unpinned("kuprel/min-dalle"),
    )


def _tokenizer(size: str) -> Record:
    repository = f"dalle-mini/dalle-{size}"
    return Record(
        f"tokenizer/dalle-{size}",
        "tokenizer",
        TOKENIZER,
        None,
        None,
        (f"{HUB}/{repository}/resolve/main/{TOKENIZER}",),
        APACHE,
        {},
        f"Byte pairs of texts for dalle-mini/{size}",
        2,
        hub=(repository, TOKENIZER),
        good_for=f"What dalle-mini/{size} reads texts by; it is of no use alone.",
        unpinned=_unpinned(repository),
    )


VQGAN = "vqgan/dalle-mini-f16-16384"
CONFIGS = {
    "mini": _config(1024, 12, 2730, 50264, CODES),
    "mega": _config(2048, 24, 4096, 50272, 16415),
}
PARAMETERS = {"mini": "438 million", "mega": "2.6 billion"}
DALLE_MINIS = (
    _prior("mini", 1751, "First drafts of a text that CLIP then refines; runs on a CPU."),
    _prior("mega", None, "Better drafts than mini's, from six times the memory."),
    _half("mini", "encoder", 405),
    _half("mini", "decoder", 471),
    _half("mega", "encoder", 2220),
    _half("mega", "decoder", 2955),
)
DALLE_MINI_PARTS = {
    f"dalle-mini/{size}-kuprel": (f"dalle-mini/{size}-kuprel-encoder", f"dalle-mini/{size}-kuprel-decoder")
    for size in CONFIGS
}
TEXT_TOKENIZERS = (_tokenizer("mini"), _tokenizer("mega"))
TOKENIZER_OF = {f"dalle-mini/{size}{owner}": f"tokenizer/dalle-{size}" for size in CONFIGS for owner in ("", "-kuprel")}
"""By network: the record of the tokenizer that it reads texts by."""

DALLE_MINI_VQGAN = Record(
    VQGAN,
    "vqgan",
    FILE,
    None,
    "5ef1a8f63877e450b2616169dcd1ab8f7b8a5eb95160549a1805e9e4511caa93",
    (f"{HUB}/dalle-mini/vqgan_imagenet_f16_16384/resolve/e93a26e7707683d349bf5d5c41c5b0ef69b677a9/{FILE}",),
    APACHE,
    vqgan_config(CODES, 256, (1, 1, 2, 2, 4), (16,)) | {"signed": False},
    "ImageNet, 16384 codes, f16, as flax keeps them for DALL-E mini",
    304,
    hub=("dalle-mini/vqgan_imagenet_f16_16384", FILE),
    good_for="The codes that DALL-E mini writes, from a third of the download.",
)
