"""The presets, by name. Torch-free."""

from __future__ import annotations

from clipgen.config.preset import Preset
from clipgen.config.preset_own import OWN_PRESET
from clipgen.config.preset_photo import PHOTO_PRESET
from clipgen.config.preset_pretrained import PRETRAINED
from clipgen.config.preset_quick import QUICK_PRESET
from clipgen.config.preset_starter import STARTER_PRESET

PRESETS: dict[str, Preset] = {
    preset.name: preset for preset in (STARTER_PRESET, PHOTO_PRESET, QUICK_PRESET, *PRETRAINED, OWN_PRESET)
}

BACKENDS: tuple[str, ...] = tuple(dict.fromkeys(name for preset in PRESETS.values() for name in preset.generators))
