"""The dVAE of the starter set."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from clipgen.perceptors.clip import CLIPPerceptor
from clipgen.training import dvae
from clipgen.training.crops import FEATURE_STAGES, FeatureDistance, crops
from clipgen.training.loop import Plan

CONFIG: dict[str, Any] = {"vocab_size": 1024, "n_hid": 24, "n_blk_per_group": 1, "n_init": 128}


class DVAETrainer(dvae.DVAETrainer):
    """Learns from crops of drawn pictures and the features of a guide."""

    def __init__(self, plan: Plan, pictures: np.ndarray, perceptor: CLIPPerceptor):
        features = FeatureDistance(perceptor, FEATURE_STAGES)
        super().__init__(CONFIG, plan, partial(crops, pictures), features, perceptor.mean.device)
