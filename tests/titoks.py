"""TiTok again, in the formulas of its paper and the names of its published files, independent of clipgen's network.

A state is a dict of tensors under the names of a file. Everything is written out: attention is a softmax of products.
"""

import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

State = dict[str, Tensor]
SIDE, TOKENS = 32, 6
SHAPE = {"width": 64, "layers": 2, "heads": 1}
CONFIG: dict[str, Any] = {
    "side": SIDE,
    "patch": 8,
    "tokens": TOKENS,
    "n_embed": 24,
    "embed_dim": 12,
    "encoder": SHAPE,
    "decoder": SHAPE,
    "pixels": {"n_embed": 16, "z_channels": 8, "ch": 32, "ch_mult": [1, 1, 2, 2], "num_res_blocks": 1},
}


def _layer(name: str, outputs: int, *inputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (outputs, *inputs), f"{name}.bias": (outputs,)}


def _transformer(part: str, shape: dict[str, int], places: int, tokens: int) -> dict[str, tuple[int, ...]]:
    width = shape["width"]
    found: dict[str, tuple[int, ...]] = {
        f"{part}.class_embedding": (1, width),
        f"{part}.positional_embedding": (places + 1, width),
        f"{part}.latent_token_positional_embedding": (tokens, width),
        **_layer(f"{part}.ln_pre", width),
        **_layer(f"{part}.ln_post", width),
    }
    for k in range(shape["layers"]):
        block = f"{part}.transformer.{k}"
        found |= {
            **_layer(f"{block}.ln_1", width),
            f"{block}.attn.in_proj_weight": (3 * width, width),
            f"{block}.attn.in_proj_bias": (3 * width,),
            **_layer(f"{block}.attn.out_proj", width, width),
            **_layer(f"{block}.ln_2", width),
            **_layer(f"{block}.mlp.c_fc", 4 * width, width),
            **_layer(f"{block}.mlp.c_proj", width, 4 * width),
        }
    return found


def _resnet(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    found = {
        **_layer(f"{name}.norm1", inputs),
        f"{name}.conv1.weight": (outputs, inputs, 3, 3),
        **_layer(f"{name}.norm2", outputs),
        f"{name}.conv2.weight": (outputs, outputs, 3, 3),
    }
    return found | ({f"{name}.nin_shortcut.weight": (outputs, outputs, 1, 1)} if inputs != outputs else {})


def _pixel_decoder(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    widths = [config["ch"] * each for each in config["ch_mult"]]
    count, part = config["num_res_blocks"], "pixel_decoder"
    found = dict(_layer(f"{part}.conv_in", widths[-1], config["z_channels"], 3, 3))
    for j in range(count):
        found |= _resnet(f"{part}.mid.{j}", widths[-1], widths[-1])
    for k, width in enumerate(widths):
        above = widths[min(k + 1, len(widths) - 1)]
        for j in range(count):
            found |= _resnet(f"{part}.up.{k}.block.{j}", width if j else above, width)
        found |= _layer(f"{part}.up.{k}.upsample_conv", width, width, 3, 3) if k else {}
    return found | _layer(f"{part}.norm_out", widths[0]) | _layer(f"{part}.conv_out", 3, widths[0], 3, 3)


def shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The names and shapes of all tensors in a published file."""
    tokens, wide, inner = config["tokens"], config["encoder"]["width"], config["decoder"]["width"]
    grid, coarse = config["side"] // config["patch"], config["side"] // 2 ** (len(config["pixels"]["ch_mult"]) - 1)
    return {
        "latent_tokens": (tokens, wide),
        **_transformer("encoder", config["encoder"], grid**2, tokens),
        **_layer("encoder.patch_embed", wide, 3, config["patch"], config["patch"]),
        **_layer("encoder.conv_out", config["embed_dim"], wide, 1, 1),
        **_transformer("decoder", config["decoder"], coarse**2, tokens),
        **_layer("decoder.decoder_embed", inner, config["embed_dim"]),
        "decoder.mask_token": (1, 1, inner),
        **_layer("decoder.ffn.0", 2 * inner, inner, 1, 1),
        **_layer("decoder.ffn.2", config["pixels"]["n_embed"], 2 * inner, 1, 1),
        "quantize.embedding.weight": (config["n_embed"], config["embed_dim"]),
        "pixel_quantize.embedding.weight": (config["pixels"]["n_embed"], config["pixels"]["z_channels"]),
        **_pixel_decoder(config["pixels"]),
    }


def state(config: dict[str, Any], seed: int = 0) -> State:
    """Random weights, large enough for pictures to differ."""
    numbers = torch.Generator().manual_seed(seed)
    found = {}
    for name, shape in shapes(config).items():
        drawn = torch.randn(shape, generator=numbers)
        matrix = len(shape) > 1 and "embedding" not in name and "token" not in name
        is_norm = name.endswith("weight") and len(shape) == 1
        found[name] = drawn / math.sqrt(math.prod(shape[1:])) if matrix else 0.2 * drawn + is_norm
    found["quantize.embedding.weight"] *= 5  # which are no unit vectors in the files
    found["pixel_quantize.embedding.weight"] *= 5
    found["decoder.ffn.2.weight"] *= 4
    found["encoder.patch_embed.weight"] *= 20
    return found


def save(values: State, path: Path) -> Path:
    """Write a file as the authors did."""
    if path.suffix == ".safetensors":
        save_file(values, path)
    else:
        torch.save(values, path)
    return path


def _linear(w: State, name: str, x: Tensor) -> Tensor:
    return x @ w[f"{name}.weight"].flatten(1).T + w[f"{name}.bias"]


def _norm(w: State, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])


def _attention(w: State, name: str, x: Tensor, heads: int) -> Tensor:
    packed = x @ w[f"{name}.in_proj_weight"].T + w[f"{name}.in_proj_bias"]
    parts = packed.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)  # type: ignore[no-untyped-call]
    query, key, value = parts
    shares = (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).softmax(-1)
    return _linear(w, f"{name}.out_proj", (shares @ value).transpose(1, 2).flatten(2))


def _attend(w: State, part: str, x: Tensor, shape: dict[str, int]) -> Tensor:
    x = _norm(w, f"{part}.ln_pre", x)
    for k in range(shape["layers"]):
        block = f"{part}.transformer.{k}"
        x = x + _attention(w, f"{block}.attn", _norm(w, f"{block}.ln_1", x), shape["heads"])
        inner = F.gelu(_linear(w, f"{block}.mlp.c_fc", _norm(w, f"{block}.ln_2", x)))
        x = x + _linear(w, f"{block}.mlp.c_proj", inner)
    return _norm(w, f"{part}.ln_post", x)


def _placed(w: State, part: str, patches: Tensor, tokens: Tensor) -> Tensor:
    first = w[f"{part}.class_embedding"].repeat(len(patches), 1, 1)
    seen = torch.cat([first, patches], 1) + w[f"{part}.positional_embedding"]
    return torch.cat([seen, tokens + w[f"{part}.latent_token_positional_embedding"]], 1)


def encode(w: State, images: Tensor, config: dict[str, Any]) -> Tensor:
    """Latents (B, D, 1, n) of images (B, 3, side, side) in [0, 1]."""
    patch, count = config["patch"], config["tokens"]
    cut = F.unfold(images, patch, stride=patch).transpose(1, 2)
    patches = _linear(w, "encoder.patch_embed", cut)
    queries = w["latent_tokens"].repeat(len(images), 1, 1)
    seen = _attend(w, "encoder", _placed(w, "encoder", patches, queries), config["encoder"])[:, -count:]
    mixed = seen.reshape(len(images), -1, count)  # the published networks take the numbers in this order
    return _linear(w, "encoder.conv_out", mixed.transpose(1, 2)).transpose(1, 2)[:, :, None]


def quantise(w: State, latents: Tensor) -> tuple[Tensor, Tensor]:
    """Code vectors (B, D, 1, n), with the gradient of the unit latents, and the indices (B, 1, n) of the codes."""
    units = latents / latents.square().sum(1, keepdim=True).sqrt()
    codes = w["quantize.embedding.weight"]
    codes = codes / codes.square().sum(1, keepdim=True).sqrt()
    indices = (units.permute(0, 2, 3, 1)[..., None, :] - codes).square().sum(-1).argmin(-1)
    return units + (codes[indices].permute(0, 3, 1, 2) - units).detach(), indices


def decode(w: State, codes: Tensor, config: dict[str, Any]) -> Tensor:
    """Images (B, 3, side, side) of code vectors (B, D, 1, n)."""
    pixels = config["pixels"]
    side = config["side"] // 2 ** (len(pixels["ch_mult"]) - 1)
    tokens = _linear(w, "decoder.decoder_embed", codes[:, :, 0].transpose(1, 2))
    masks = w["decoder.mask_token"].repeat(len(codes), side**2, 1)
    seen = _attend(w, "decoder", _placed(w, "decoder", masks, tokens), config["decoder"])[:, 1 : 1 + side**2]
    logits = _linear(w, "decoder.ffn.2", _linear(w, "decoder.ffn.0", seen).tanh())
    vectors = logits.softmax(-1) @ w["pixel_quantize.embedding.weight"]
    return draw(w, vectors.transpose(1, 2).reshape(len(codes), -1, side, side), pixels)


def _conv(w: State, name: str, x: Tensor) -> Tensor:
    return F.conv2d(x, w[f"{name}.weight"], w.get(f"{name}.bias"), padding="same")


def _group_norm(w: State, name: str, x: Tensor) -> Tensor:
    return F.group_norm(x, 32, w[f"{name}.weight"], w[f"{name}.bias"], 1e-6)


def _block(w: State, name: str, x: Tensor) -> Tensor:
    inner = _conv(w, f"{name}.conv1", F.silu(_group_norm(w, f"{name}.norm1", x)))
    inner = _conv(w, f"{name}.conv2", F.silu(_group_norm(w, f"{name}.norm2", inner)))
    return inner + (_conv(w, f"{name}.nin_shortcut", inner) if f"{name}.nin_shortcut.weight" in w else x)


def see(w: State, images: Tensor, config: dict[str, Any], part: str = "encoder") -> Tensor:
    """What the encoder of MaskGIT's VQGAN makes of images (B, 3, H, W)."""
    x = _conv(w, f"{part}.conv_in", images)
    for k in range(len(config["ch_mult"])):
        for j in range(config["num_res_blocks"]):
            x = _block(w, f"{part}.down.{k}.block.{j}", x)
        if k + 1 < len(config["ch_mult"]):
            x = x.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    for j in range(config["num_res_blocks"]):
        x = _block(w, f"{part}.mid.{j}", x)
    return _conv(w, f"{part}.conv_out", F.silu(_group_norm(w, f"{part}.norm_out", x)))


def draw(w: State, vectors: Tensor, config: dict[str, Any], part: str = "pixel_decoder") -> Tensor:
    """What MaskGIT's VQGAN makes of code vectors (B, z, h, w)."""
    x = _conv(w, f"{part}.conv_in", vectors)
    for j in range(config["num_res_blocks"]):
        x = _block(w, f"{part}.mid.{j}", x)
    for k in reversed(range(len(config["ch_mult"]))):
        for j in range(config["num_res_blocks"]):
            x = _block(w, f"{part}.up.{k}.block.{j}", x)
        if k:
            x = _conv(w, f"{part}.up.{k}.upsample_conv", x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    return _conv(w, f"{part}.conv_out", F.silu(_group_norm(w, f"{part}.norm_out", x)))
