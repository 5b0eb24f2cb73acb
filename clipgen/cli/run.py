"""`clipgen run "prompt"`, which is also plain `clipgen "prompt"`."""

import secrets

from clipgen.cli import choosing, options
from clipgen.cli.report import Notes, Results
from clipgen.config.job import Job, parse_prompts, parse_size
from clipgen.session.session import SAVE_SECONDS, Delivery, Studio, film_suffixes

# Short enough to read out of a file name and to type again.
_RANDOM_SEEDS = 2**32


def run(
    prompt: options.Prompt,
    init: options.Init = None,
    init_weight: options.InitWeight = Job.init_weight,
    size: options.Size = None,
    seed: options.Seed = None,
    candidates: options.Candidates = 1,
    keep: options.Keep = 1,
    backend: options.Backend = Job.backend,
    preset: options.Preset = Job.preset,
    steps: options.Steps = None,
    lr: options.LearningRate = None,
    cutouts: options.Cutouts = None,
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
    """Turn a sentence into a picture.

    Prints the path of the picture, and of its films, on stdout.
    """
    notes = Notes(quiet=quiet or as_json)
    job = Job(
        prompts=parse_prompts(prompt),
        backend=backend,
        preset=preset,
        size=None if size is None else parse_size(size),
        steps=steps,
        seed=secrets.randbelow(_RANDOM_SEEDS) if seed is None else seed,
        lr=lr,
        cutouts=cutouts,
        init=None if init is None else str(init),
        init_weight=init_weight,
        **choosing.Choice(clip, clip_weights, vqgan, vqgan_config, dvae).for_job(backend),
    )
    studio = Studio(
        job,
        device=device,
        delivery=Delivery(film_suffixes(video=video, mp4=mp4, gif=gif), not no_metadata, save_every, keep_state),
        results=Results(as_json=as_json),
        notes=notes,
        offline=offline,
        typed=job,
    )
    studio.make_best(job, out, candidates, keep)
