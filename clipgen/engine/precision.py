"""Lower precision where it costs little: the bulk of the networks computes in bfloat16, all else in float32.

Latents, losses, distances to codes and the outputs of the networks stay in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from open_clip.transformer import Attention
from torch import Tensor, nn

_MATRICES = (nn.Conv2d, nn.Linear, Attention)


def lower_(network: nn.Module, device: torch.device) -> None:
    """Have a frozen network compute in bfloat16, in place; it takes and returns float32.

    The weights of convolutions and linear layers are converted once, as autocast would convert them in each pass.
    """
    for layer in network.modules():
        if isinstance(layer, _MATRICES):
            layer.to(torch.bfloat16)
    compute = network.forward

    def forward(*inputs: Any) -> Tensor:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            computed: Tensor = compute(*inputs)
        return computed.float()

    network.forward = forward
