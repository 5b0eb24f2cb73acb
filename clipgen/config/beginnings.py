"""Where the latent of a job begins, and the settings for runs that begin there. Torch-free."""

from __future__ import annotations

from clipgen.config.job import Job
from clipgen.config.peer_recipes import PEER_RECIPES, check_start
from clipgen.config.preset import INIT, NOISE, TOKENS, UNCLIP, Guidance, Preset
from clipgen.config.presets import PRESETS
from clipgen.config.prompts import scenes_in
from clipgen.config.targets import MIX, MORPH, REGION, SUM
from clipgen.errors import UsageError


def guidance_of(job: Job, preset: Preset) -> tuple[Guidance, str]:
    """Return the settings for where the latent begins, and that start, one of STARTS. Raises UsageError."""
    given = INIT if job.init is not None else TOKENS if job.init_tokens is not None else ""
    if job.recipe is not None:
        recipe = PEER_RECIPES[job.recipe]
        start = job.start or given or recipe.starts[0]
        check_start(job.recipe, start)
        if INIT not in recipe.starts and (job.motion or job.overlay is not None):
            raise UsageError(f"--recipe {job.recipe} cannot encode pictures, which a camera and --overlay need")
        return recipe.of(preset.guidance[NOISE]), start
    alone = _without_unclip(job)
    start = job.start or given or (NOISE if alone else preset.start_of(job.backend))
    moves = job.motion is not None and start != UNCLIP
    guidance = preset.moving_guidance if moves else preset.guidance_from(NOISE if alone and start == INIT else start)
    if guidance is None:
        having = " or ".join(one.name for one in PRESETS.values() if start in one.guidance)
        raise UsageError(
            f"--start {start} goes with preset {having}, not with {preset.name}; use --start {preset.start}"
        )
    if alone and (guidance.unclip or guidance.prior):
        raise UsageError(
            f"{alone} does not go with start {start} of preset {preset.name}, which proposes one picture of the whole "
            f"prompt; use --start {NOISE}"
        )
    return guidance, start


def _without_unclip(job: Job) -> str:
    """Return what a job asks for that no unCLIP can propose a picture of; empty for nothing."""
    reasons = {
        "a story": len(scenes_in(job.prompts)) > 1,
        "a weight that changes over the run": any(prompt.is_timed for prompt in job.prompts),
        "--tile": job.tile,
        "a camera": job.motion is not None,
        "--region": any(row.kind == REGION for row in job.target_rows),
        f"--{job.blend}": job.blend in (MIX, SUM),
        "a morph": job.blend == MORPH,
        "a prompt without texts": not any(prompt.peak for prompt in job.prompts),
    }
    return next((name for name, holds in reasons.items() if holds), "")
