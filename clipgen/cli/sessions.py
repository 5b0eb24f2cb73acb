"""From the options of a command to the job and the session that makes its pictures."""

from typing import Any, NamedTuple

from clipgen.cli.model_options import ModelOptions
from clipgen.cli.options import EngineOptions, OutputOptions, PictureOptions
from clipgen.cli.report import Notes, Results
from clipgen.config.job import Job
from clipgen.session.session import Delivery, Studio, film_suffixes


class Session(NamedTuple):
    """What makes pictures, with what reports of them."""

    studio: Studio
    delivery: Delivery
    results: Results
    notes: Notes


def job_fields(
    picture: PictureOptions, engine: EngineOptions, models: ModelOptions, backend: str = Job.backend
) -> dict[str, Any]:
    """Return the fields of a job that were typed; `backend` is the one that counts where none was."""
    return {**picture.job_fields(), **engine.job_fields(), **models.job_fields(engine.backend or backend)}


def open_session(
    settings: Job, output: OutputOptions, *, device: str, offline: bool, typed: Job | None = None
) -> Session:
    """Check a job and find its models; those that `typed` names are downloaded if need be."""
    films = film_suffixes(video=output.video, mp4=output.mp4, gif=output.gif)
    delivery = Delivery(films, not output.no_metadata, output.save_every, output.keep_state)
    notes, results = output.notes(), output.results()
    studio = Studio(
        settings, device=device, delivery=delivery, results=results, notes=notes, offline=offline, typed=typed
    )
    return Session(studio, delivery, results, notes)
