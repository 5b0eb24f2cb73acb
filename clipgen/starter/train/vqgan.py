"""The VQGAN of the starter set."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.training import vqgan
from clipgen.training.crops import FEATURE_STAGES, FeatureDistance, crops
from clipgen.training.loop import Plan

CONFIG: dict[str, Any] = {
    "space_to_depth": 4,
    "embed_dim": 32,
    "n_embed": 2048,
    "ddconfig": {
        "double_z": False,
        "z_channels": 96,
        "resolution": 64,
        "in_channels": 48,
        "out_ch": 48,
        "ch": 32,
        "ch_mult": [2, 3],
        "num_res_blocks": 1,
        "attn_resolutions": [],
        "dropout": 0.0,
    },
}


class VQGANTrainer(vqgan.VQGANTrainer):
    """Learns from crops of drawn pictures and the features of a guide."""

    def __init__(self, plan: Plan, pictures: np.ndarray, perceptor: CLIPPerceptor):
        features = FeatureDistance(perceptor, FEATURE_STAGES)
        super().__init__(CONFIG, plan, partial(crops, pictures), features, perceptor.mean.device)
