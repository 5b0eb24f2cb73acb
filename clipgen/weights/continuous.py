"""Records of continuous autoencoders, which have no codebook: Stable Diffusion's, and the tiny ones of TAESD."""

from __future__ import annotations

from typing import Any

from clipgen.weights.records import BY_HASH, HUB, Record

MIT, MIT_CARD = "MIT", "MIT, says the model's card"
_STABLE = {
    "double_z": True,
    "z_channels": 4,
    "resolution": 256,
    "in_channels": 3,
    "out_ch": 3,
    "ch": 128,
    "ch_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_resolutions": [],
    "dropout": 0.0,
}


def _stable(scale: float) -> dict[str, Any]:
    return {"ddconfig": _STABLE, "embed_dim": 4, "scale": scale, "shift": 0.0}


def _taesd(name: str, revision: str, channels: int, size: int | None, sha256: str, of: str) -> Record:
    file = "diffusion_pytorch_model.safetensors"
    return Record(
        f"kl/{name}",
        "kl",
        file,
        size,
        sha256,
        (f"{HUB}/madebyollin/{name}/resolve/{revision}/{file}",),
        MIT,
        {"channels": channels},
        f"TAESD for {of}: quick and small, with a little less detail, {channels} channels, f8",
        None if size else 10,
        hub=(f"madebyollin/{name}", file),
        good_for=f"Quick pictures, in the latents of {of}.",
        unpinned="" if size else BY_HASH,
    )


CONTINUOUS = (
    Record(
        "kl/sd-vae-ft-mse",
        "kl",
        "diffusion_pytorch_model.safetensors",
        334_643_276,
        "a1d993488569e928462932c8c38a0760b874d166399b14414135bd9c42df5815",
        (
            f"{HUB}/stabilityai/sd-vae-ft-mse/resolve/31f26fdeee1355a5c34592e401dd41e45d25a493/"
            "diffusion_pytorch_model.safetensors",
        ),
        MIT_CARD,
        _stable(0.18215),
        "Stable Diffusion's, any picture in fine detail, 4 channels, f8",
        hub=("stabilityai/sd-vae-ft-mse", "diffusion_pytorch_model.safetensors"),
        good_for="Any picture, drawn without a codebook.",
    ),
    Record(
        "kl/sdxl-vae",
        "kl",
        "sdxl_vae.safetensors",
        334_641_164,
        "63aeecb90ff7bc1c115395962d3e803571385b61938377bc7089b36e81e92e2e",
        (f"{HUB}/stabilityai/sdxl-vae/resolve/main/sdxl_vae.safetensors",),
        "MIT, unconfirmed",
        _stable(0.13025),
        "SDXL's, any picture in the finest detail, 4 channels, f8",
        hub=("stabilityai/sdxl-vae", "sdxl_vae.safetensors"),
        good_for="Any picture, drawn without a codebook, in the finest detail.",
        unpinned=BY_HASH,
    ),
    _taesd(
        "taesd",
        "614f76814bbe30edbe2e627ace1c2234c81a2c0e",
        4,
        9_793_292,
        "db169d69145ec4ff064e49d99c95fa05d3eb04ee453de35824a6d0f325513549",
        "Stable Diffusion",
    ),
    _taesd(
        "taesdxl",
        "b20258aaef75ef61e659c1e0f14f251cf0ad153e",
        4,
        9_793_292,
        "ff4824aca94dd6111e0340fa749347fb74101060d9712cb5ef1ca8f1cf17502f",
        "SDXL",
    ),
    _taesd(
        "taesd3",
        "main",
        16,
        None,
        "6f79c1397cb9ce1dac363722dbe70147aee0ccca75e28338f8482fe515891399",
        "Stable Diffusion 3",
    ),
    _taesd(
        "taef1",
        "b1b2d00e9e440cfbf3dedb34266864da86016ceb",
        16,
        9_848_636,
        "47a6c2bff850da04b267cab70fe3553fef57255eb9a8e76852baa0a87850e54d",
        "FLUX.1",
    ),
)
