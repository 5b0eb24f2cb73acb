"""The authors' own networks with random weights, saved as their authors saved them."""

import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import archives
import open_clip
import pytest
import torch
from dall_e import Decoder as DallEDecoder
from dall_e import Encoder as DallEEncoder
from open_clip.model import CLIPTextCfg, CLIPVisionCfg
from open_clip.transformer import LayerNorm
from torch import Tensor, nn


class Losses(nn.Module):
    """What VQGAN checkpoints hold under `loss.`: a perceptual network and a discriminator."""

    def __init__(self) -> None:
        super().__init__()
        self.perceptual_loss = nn.Conv2d(3, 4, 1)
        self.discriminator = nn.Sequential(nn.Conv2d(3, 4, 4), nn.BatchNorm2d(4))


@contextmanager
def taming() -> Iterator[types.ModuleType]:
    """taming.models.vqgan, which needs a release of Lightning from 2020 and, for its losses, a download."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("pytorch_lightning", "taming.main", "taming.models.vqgan"):
            patch.delitem(sys.modules, name, raising=False)
        for name, attribute, value in (
            ("pytorch_lightning", "LightningModule", nn.Module),
            ("taming.main", "instantiate_from_config", lambda _: Losses()),
        ):
            patch.setitem(sys.modules, name, types.ModuleType(name))
            setattr(sys.modules[name], attribute, value)
        import taming.models.vqgan

        yield taming.models.vqgan


def vqgan(config: dict[str, Any]) -> Any:
    """VQModel or GumbelVQ of taming with its losses. Without attention it is as latent-diffusion changed it."""
    arguments = {name: config[name] for name in ("ddconfig", "n_embed", "embed_dim")} | {"lossconfig": {}}
    with taming() as module:
        gumbel = config.get("quantizer") == "gumbel"
        model = module.GumbelVQ(temperature_scheduler_config={}, **arguments) if gumbel else module.VQModel(**arguments)
    if config["ddconfig"].get("attn_type") == "none":
        model.encoder.mid.attn_1, model.decoder.mid.attn_1 = nn.Identity(), nn.Identity()
    if gumbel:
        del model.temperature_scheduler  # it has no weights, but the losses that stand in for it do
    return model.eval()


def save_vqgan(model: nn.Module, path: Path, layout: str) -> None:
    """Save as Lightning does: a plain VQGAN, one inside a transformer, one with averages, or only its weights."""
    state: dict[str, Tensor] = dict(model.state_dict())
    with pytest.MonkeyPatch.context() as patch:
        if layout == "transformer":
            inner = {f"first_stage_model.{name}": value for name, value in state.items()}
            other = {
                "transformer.blocks.0.mlp.weight": torch.randn(3),
                "cond_stage_model.quant_conv.bias": torch.ones(2),
            }
            torch.save(archives.lightning(patch, inner | other), path)
        elif layout == "averages":
            extra = {"model_ema.decay": torch.tensor(0.9), "model_ema.num_updates": torch.tensor(3)}
            torch.save(archives.lightning(patch, state | extra), path)
        elif layout == "bare":
            torch.save(state, path)
        else:
            torch.save(archives.lightning(patch, state), path, _use_new_zipfile_serialization=layout == "plain")


def dvae(config: dict[str, int]) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder of dall_e."""
    sizes = {name: config[name] for name in ("vocab_size", "n_hid", "n_blk_per_group")}
    return DallEEncoder(**sizes).eval(), DallEDecoder(n_init=config["n_init"], **sizes).eval()


def save_module(module: nn.Module, path: Path, zipped: bool) -> Path:
    """Pickle a whole module; before 1.6 that holds its source code, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(module, path, _use_new_zipfile_serialization=zipped)
    return path


def clip(config: dict[str, Any]) -> open_clip.CLIP:
    """open_clip's CLIP of a config."""
    vision, text = CLIPVisionCfg(**config["vision_cfg"]), CLIPTextCfg(**config["text_cfg"])
    model = open_clip.CLIP(config["embed_dim"], vision, text, quick_gelu=config.get("quick_gelu", False)).eval()
    for layer in model.modules():  # a new one would hide what it does to its input
        if isinstance(layer, LayerNorm | nn.BatchNorm2d):
            nn.init.normal_(layer.bias)
    return model


class _Holder(torch.nn.Module):
    """Holds the tensors of a module under their names, and computes nothing: not every module can be scripted."""

    def __init__(self, module: torch.nn.Module) -> None:
        super().__init__()
        for name, parameter in module.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, buffer in module.named_buffers(recurse=False):
            self.register_buffer(name, buffer)
        for name, child in module.named_children():
            self.add_module(name, _Holder(child))


def save_openai(model: open_clip.CLIP, config: dict[str, Any], path: Path) -> None:
    """Save as OpenAI did: half of it in float16, its config as tensors, scripted."""
    open_clip.model.convert_weights_to_fp16(model)
    numbers = {"input_resolution": config["vision_cfg"]["image_size"], "context_length": 77, "vocab_size": 49408}
    for name, value in numbers.items():
        if hasattr(model, name):
            delattr(model, name)
        model.register_buffer(name, torch.tensor(value))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(_Holder(model)), path)
    for name in numbers:
        delattr(model, name)
    model.float()
