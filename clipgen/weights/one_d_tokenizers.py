"""Records of the published tokenizers whose tokens are a sequence: TiTok (Yu et al., 2024, arXiv 2406.07550)."""

from __future__ import annotations

from typing import Any

from clipgen.weights.records import HUB, Record

TITOK_LICENCE = "Apache-2.0, research only in README"
_TOGETHER, _COMMIT = "fun-research/TiTok", "ab646ed225080a3acb7c78440a574d7f67f16fa7"
_WIDTHS = {"s": (512, 8, 8), "b": (768, 12, 12), "l": (1024, 24, 16)}
"""By size: width, layers and heads of encoder and decoder."""
GOOD_FOR = {
    "s": "Small pictures from few numbers; the smallest download of the three.",
    "b": "Small pictures from fewer numbers.",
    "l": "Small pictures from the fewest numbers, which guidance moves as a whole.",
}


def _config(size: str, tokens: int) -> dict[str, Any]:
    shape = dict(zip(("width", "layers", "heads"), _WIDTHS[size], strict=True))
    return {
        "side": 256,
        "patch": 16,
        "tokens": tokens,
        "n_embed": 4096,
        "embed_dim": 12,
        "encoder": shape,
        "decoder": shape,
        "pixels": {"n_embed": 1024, "z_channels": 256, "ch": 128, "ch_mult": [1, 1, 2, 2, 4], "num_res_blocks": 2},
    }


def _titok(
    size: str, tokens: int, megabytes: int, sha256: str | None, repository: str, commit: str, file: str
) -> Record:
    return Record(
        f"titok/imagenet-{size}-{tokens}",
        "titok",
        file,
        None,
        sha256,
        (f"{HUB}/{repository}/resolve/{commit}/{file}",),
        TITOK_LICENCE,
        _config(size, tokens),
        f"ImageNet, {tokens} tokens of 4096 codes for 256x256 pixels",
        megabytes,
        hub=(repository, file),
        good_for=GOOD_FOR[size],
    )


TITOKS = (
    _titok(
        "s",
        128,
        335,
        "ba008a78cad4f08bfbb88524c775ff0356939a496f8321baef26896bfdac9037",
        _TOGETHER,
        _COMMIT,
        "tokenizer_titok_s128.bin",
    ),
    _titok(
        "b",
        64,
        819,
        None,
        "yucornetto/tokenizer_titok_b64_imagenet",
        "603747b9431d1d903ce6f1c55207f3c3bea4c785",
        "model.safetensors",
    ),
    _titok(
        "l",
        32,
        2564,
        "b8f0bf61e9ee1791d8b76fa723bdcb2c85a039a7d027e597f685db492935c31f",
        _TOGETHER,
        _COMMIT,
        "tokenizer_titok_l32.bin",
    ),
)
