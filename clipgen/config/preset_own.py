"""The preset of networks that `clipgen train` made of anyone's captioned pictures. Torch-free."""

from __future__ import annotations

from dataclasses import replace

from clipgen.config.preset import INIT, NOISE, OWN, PIXELS, PRIOR, GeneratorDefaults, Guidance, Preset
from clipgen.config.priors import PriorSettings
from clipgen.config.settings import GeneratorSettings, PerceptorSettings

_VQGAN = GeneratorSettings("own/vqgan", 8, levels=2)
_DVAE = GeneratorSettings("own/dvae", 8, levels=2)
_GUIDED = Guidance(
    {
        "vqgan": GeneratorDefaults(_VQGAN, steps=100, lr=0.1, cutouts=16),
        "dvae": GeneratorDefaults(_DVAE, steps=100, lr=0.4, cutouts=16),
        "pixels": GeneratorDefaults(PIXELS, steps=100, lr=0.02, cutouts=16),
    }
)
_PRIOR = Guidance(
    {name: replace(row, steps=30, lr=row.lr / 2) for name, row in _GUIDED.generators.items()},
    prior=(PriorSettings("own/token-prior", "own/vqgan", proposals=32),),
)

OWN_PRESET = Preset(
    name=OWN,
    summary="networks that `clipgen train` made; give their folder instead of this name",
    perceptors=(PerceptorSettings("own/clip"),),
    guidance={NOISE: _GUIDED, INIT: _GUIDED, PRIOR: _PRIOR},
    size=(64, 64),
)
"""Its networks are named by the job; those here stand for them."""
