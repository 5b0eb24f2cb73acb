"""`clipgen eval`: how often pictures show what was asked for, according to judges that do not guide them."""

from pathlib import Path
from typing import Annotated, Any

from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.eval_options import COUNT, COUNT_OF_CLASSES, EvalOptions
from clipgen.cli.eval_plots import plot_records
from clipgen.cli.eval_prompts import evaluate_prompts
from clipgen.cli.eval_run import Run
from clipgen.cli.eval_world import evaluate_world
from clipgen.cli.evaluate_classes import evaluate_classes
from clipgen.cli.judge_options import CLASSIFIER, judge_names
from clipgen.cli.model_options import ModelOptions
from clipgen.cli.option_groups import Option, flat, only, redeclared
from clipgen.cli.options import SIZES, PictureOptions
from clipgen.cli.output_options import OutputOptions
from clipgen.cli.values import expanded
from clipgen.config.job import Job
from clipgen.config.preset import AUTO, DEFAULT_BACKEND, NOISE, PHOTO, UNCLIP
from clipgen.config.prompts import parse_prompts
from clipgen.session.naming import check_folder
from clipgen.util.devices import pick_device

EvalPicture = Annotated[PictureOptions, only("size"), redeclared(size={"default": SIZES})]
EvalEngine = Annotated[
    EngineOptions,
    redeclared(
        start={
            "text": "Where the latent begins: noise, or a picture proposed by the starter set's unCLIP.",
            "choices": (NOISE, UNCLIP),
            "default": "unclip with preset starter; else noise",
        },
        preset={"default": f"{AUTO}; with --classes, {PHOTO}"},
    ),
]
EvalOutput = Annotated[OutputOptions, only("as_json", "quiet")]


@flat
def evaluate(
    *,
    options: EvalOptions,
    seed: Annotated[int, Option("--seed", "The seed of the prompts and of every picture.", "NUMBER")] = Job.seed,
    picture: EvalPicture,
    engine: EvalEngine,
    models: ModelOptions,
    out: Annotated[Path, Option("-o --out", "Where to write.", "FOLDER")] = Path("eval"),
    output: EvalOutput,
) -> None:
    """Make pictures for prompts of the drawn world, of a file, or of things, and report how many show them.

    Writes tables, a JSON file and a contact sheet; prints the paths of the last two.

    Keeps the pictures, so that the same command continues an evaluation. Ctrl-C stops early and reports on what has
    been made.
    """
    out = expanded(out, "-o")
    check_folder(out, "an evaluation writes many")
    if options.plot:
        plot_records(options.plot, out)
        return
    named: dict[str, Any] = models.job_fields(engine.backend or DEFAULT_BACKEND)
    preset = {"preset": PHOTO} if options.classes else {}
    fields = {"seed": seed, **preset, **picture.job_fields(), **engine.job_fields(), **named}
    notes = output.notes()
    notes.say(models.notes)
    job = Job(parse_prompts("the prompts follow"), **fields)
    _evaluate(Run(job, out, pick_device(engine.device), options, models.offline, notes, output.as_json))


def _evaluate(run: Run) -> None:
    """Ask for what the options say."""
    options = run.options
    if options.prompts:
        evaluate_prompts(run, options.prompts)
    elif options.classes:
        count = COUNT_OF_CLASSES if options.count is None else options.count
        evaluate_classes(run, count, judge_names(options.judge or [], kinds=(CLASSIFIER,)))
    else:
        evaluate_world(run, COUNT if options.count is None else options.count)
