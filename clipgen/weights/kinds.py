"""The kinds of network that a weight file may hold, and which class builds each from its config. Torch-free.

Weights come before the networks in the order of the packages, so a network's class is named here and imported only
when one is built.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from clipgen.errors import unknown_value

if TYPE_CHECKING:
    from torch import nn

KINDS: dict[str, str] = {
    "vqgan": "clipgen.generators.networks:VQGANNetwork",
    "dvae": "clipgen.generators.networks:DVAENetwork",
    "kl": "clipgen.generators.kl_networks:kl_network",
    "titok": "clipgen.generators.titok_network:TiTokNetwork",
    "dalle-mini": "clipgen.priors.dalle_mini:DalleMiniNetwork",
    "clip": "clipgen.perceptors.clip:clip_network",
    "aesthetic": "clipgen.perceptors.aesthetic:aesthetic_network",
    "token-prior": "clipgen.priors.transformer:TokenTransformer",
    "classifier": "clipgen.perceptors.timm_classifier:classifier_network",
}
"""The kind in a weight file's header -> "module:name" of what takes a config dict and returns an `nn.Module`, whose
state dict has the names and shapes of the file's tensors."""

STARTER_PACKAGE = "clipgen.starter"
"""Where the starter set lives: the one place below the command line that names it."""

TOWERS = "clipgen.perceptors.towers"
"""The module whose `register_towers()` makes timm know the image towers with names that begin with `TOWER_PREFIX`."""
TOWER_PREFIX = "clipgen_"


def builder(kind: str) -> Callable[[dict[str, Any]], nn.Module]:
    """Import what builds networks of a kind from their configs. Raises UsageError for a kind not in `KINDS`."""
    if kind not in KINDS:
        raise unknown_value("the kind of a weight file", kind, KINDS)
    module, name = KINDS[kind].split(":")
    found: Callable[[dict[str, Any]], nn.Module] = getattr(import_module(module), name)
    return found
