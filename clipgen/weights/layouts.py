"""How published files, and users' own, name the tensors of each kind of network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from clipgen.weights.autoencoder_layouts import TAESD, as_continuous, as_taming
from clipgen.weights.clip_layouts import OPENAI_MARKS, TRANSFORMERS_ANCHORS, as_open_clip
from clipgen.weights.dalle_mini_layouts import as_dalle_mini
from clipgen.weights.timm_models import LITE_MARK, as_timm

Renaming = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], dict[str, Tensor]]


@dataclass(frozen=True)
class Layout:
    """How the tensors of one kind of network are named in published files.

    called: what users call the kind.
    anchors: names of tensors, one of which every network of the kind has that lies in one file as a whole; the longest
        name in the network is another. Empty if all are saved in halves.
    halves: names of tensors, one of which each half has, where encoder and decoder are saved apart.
    is_decoder: tells by the tensors of a half which one it is.
    left: the ends of names inside the network of what only its training needed.
    repeated: names beside the network of what only repeats its config; that it is left need not be said.
    renamed: takes the tensors and the network's state dict, and returns the tensors under that one's names.
    """

    called: str
    anchors: tuple[str, ...]
    halves: tuple[str, ...] = ()
    is_decoder: Callable[[Mapping[str, Tensor]], bool] = lambda _tensors: False
    left: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    renamed: Renaming | None = None


LAYOUTS: dict[str, Layout] = {
    # Codebooks that are averages of what was encoded keep sums and counts of it, others which codes were used last.
    "vqgan": Layout(
        "VQGAN",
        ("encoder.conv_in.weight", "decoder.conv_in.weight", "encoder.conv_in.kernel"),
        left=(".cluster_size", ".embed_avg", ".codebook_used"),
        renamed=as_taming,
    ),
    # dall_e saves two modules, each in a file. Its encoder sees 7 x 7 pixels at once, its decoder single codes.
    "dvae": Layout(
        "dVAE", (), ("blocks.input.w",), is_decoder=lambda tensors: tensors["blocks.input.w"].shape[2:] == (1, 1)
    ),
    "kl": Layout(
        "continuous autoencoder",
        ("encoder.conv_in.weight", "decoder.conv_in.weight", f"encoder.layers.{TAESD[0]}"),
        TAESD,
        is_decoder=lambda tensors: TAESD[1] in tensors,
        renamed=as_continuous,
    ),
    "titok": Layout("TiTok", ("latent_tokens",)),
    # min-dalle saves encoder and decoder apart; only the decoder has a head.
    "dalle-mini": Layout(
        "DALL-E mini",
        ("lm_head.kernel",),
        ("layernorm_embedding.weight",),
        is_decoder=lambda tensors: "lm_head.weight" in tensors,
        renamed=as_dalle_mini,
    ),
    "clip": Layout(
        "CLIP",
        ("logit_scale", "visual.conv1.weight", *TRANSFORMERS_ANCHORS),
        repeated=(*OPENAI_MARKS, "attn_mask"),
        renamed=as_open_clip,
    ),
    "aesthetic": Layout("aesthetic predictor", ("layers.0.weight",)),
    "classifier": Layout("classifier", (LITE_MARK,), renamed=as_timm),
}
