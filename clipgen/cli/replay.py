"""`clipgen replay PICTURE.png`: the run of an earlier picture once more, as it was or with some of it changed."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipgen import __version__
from clipgen.cli import choosing, options
from clipgen.cli.report import Notes, Results
from clipgen.config.job import Job, parse_prompts, parse_size
from clipgen.config.resolving import chosen_preset
from clipgen.errors import UsageError
from clipgen.session.session import SAVE_SECONDS, Delivery, Studio, film_suffixes
from clipgen.util.text import quoted

if TYPE_CHECKING:
    from clipgen.outputs.metadata import Recipe

HASH_DIGITS = 12
"""As many digits of a hash as are shown: enough to tell files apart."""


def replay(
    picture: options.Picture,
    prompt: options.NewPrompt = None,
    init: options.NewInit = None,
    init_weight: options.NewInitWeight = None,
    size: options.NewSize = None,
    seed: options.NewSeed = None,
    backend: options.NewBackend = None,
    preset: options.NewPreset = None,
    steps: options.NewSteps = None,
    lr: options.NewLearningRate = None,
    cutouts: options.NewCutouts = None,
    clip: choosing.Clip = None,
    clip_weights: choosing.ClipWeights = None,
    vqgan: choosing.Vqgan = None,
    vqgan_config: choosing.VqganConfig = None,
    dvae: choosing.Dvae = None,
    offline: choosing.Offline = False,
    device: options.Device = "auto",
    out: options.Out = options.DEFAULT_FOLDER,
    video: options.Video = False,
    mp4: options.Mp4 = False,
    gif: options.Gif = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    no_metadata: options.NoMetadata = False,
    save_every: options.SaveEvery = SAVE_SECONDS,
    keep_state: options.KeepState = False,
) -> None:
    """Make a picture again from the recipe inside it; the options change parts of it."""
    changes: dict[str, Any] = {
        "prompts": None if prompt is None else parse_prompts(prompt),
        "backend": backend,
        "preset": preset,
        "size": None if size is None else parse_size(size),
        "steps": steps,
        "seed": seed,
        "lr": lr,
        "cutouts": cutouts,
        "init": None if init is None else str(init),
        "init_weight": init_weight,
    }
    recipe = _recipe_of(picture, init)
    notes = Notes(quiet=quiet or as_json)
    named = choosing.Choice(clip, clip_weights, vqgan, vqgan_config, dvae).for_job(backend or recipe.job.backend)
    changes = {name: value for name, value in changes.items() if value is not None} | named
    job = _changed(recipe.job, changes)
    studio = Studio(
        job,
        device=device,
        delivery=Delivery(film_suffixes(video=video, mp4=mp4, gif=gif), not no_metadata, save_every, keep_state),
        results=Results(as_json=as_json),
        notes=notes,
        offline=offline,
        typed=_typed(job, changes),
    )
    notes.say(_doubts(recipe, init))
    studio.make_alone(job, out)


def _recipe_of(picture: Path, init: Path | None) -> "Recipe":
    """Read the recipe; one with an init image needs that file from the user, as no path in a recipe is followed."""
    from clipgen.outputs.metadata import read_recipe

    recipe = read_recipe(picture)
    if recipe.init_sha256 is not None and init is None:
        raise UsageError(
            f"{str(picture)!r} was started from {quoted(recipe.job.init)}, "
            f"sha256 {recipe.init_sha256[:HASH_DIGITS]}..., which is not inside it; add --init FILE"
        )
    return recipe


def _changed(job: Job, changes: Mapping[str, Any]) -> Job:
    """Return the job with changes; of another backend or preset, what suited the first one is dropped."""
    bare = replace(job, clips=(), network=None)
    models = replace(bare, **{name: changes[name] for name in ("backend", "preset") if name in changes})
    if (models.backend, chosen_preset(models)[0]) != (job.backend, chosen_preset(job)[0]):
        changes = {"steps": None, "lr": None, "cutouts": None, "clips": (), "network": None, **changes}
    return replace(bare, **{"clips": job.clips, "network": job.network, **changes})


def _typed(job: Job, changes: Mapping[str, Any]) -> Job:
    """Return a job that names the models that were typed, and none that only the picture names."""
    return Job(job.prompts, job.backend, **{k: v for k, v in changes.items() if k in ("preset", "clips", "network")})


def _doubts(recipe: "Recipe", init: Path | None) -> Iterator[str]:
    """Warn of what makes the picture differ although nothing was changed."""
    from clipgen.outputs.metadata import hash_file

    if recipe.version != __version__:
        yield f"warning: the recipe is of clipgen {recipe.version}, this is {__version__}; the picture may differ"
    if recipe.init_sha256 is not None and init is not None and (given := hash_file(str(init))) != recipe.init_sha256:
        yield (
            f"warning: --init {str(init)!r} is not the file that the first run started from: its sha256 begins with "
            f"{given[:HASH_DIGITS]}, not {recipe.init_sha256[:HASH_DIGITS]}; the picture will differ"
        )
