"""The option that has a run choose its init image, and the field of a job that it sets."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from clipgen.cli.downloads import fetch_missing
from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.model_options import ModelOptions
from clipgen.cli.option_groups import Option
from clipgen.cli.options import PICTURE
from clipgen.cli.output_options import OutputOptions
from clipgen.cli.picture_files import picture_files
from clipgen.cli.values import expanded
from clipgen.config.job import Job
from clipgen.config.preset import INIT
from clipgen.config.resolve import resolve
from clipgen.errors import UsageError

FLAG = "--init-from"


@dataclass(frozen=True)
class FirstOptions:
    """Where the init image is looked for."""

    init_from: Annotated[
        Path | None,
        Option(
            FLAG,
            "Start from the picture of this folder that the guiding CLIPs match best with the prompt; the picture "
            "records it as --init does.",
            "FOLDER",
            panel=PICTURE,
        ),
    ] = None

    def job_fields(
        self, fields: Mapping[str, Any], engine: EngineOptions, models: ModelOptions, output: OutputOptions
    ) -> dict[str, Any]:
        """Return the field of a job, which names the picture that was chosen; raises UsageError if there is none.

        fields: the others. Models that they name are downloaded if necessary.
        """
        if self.init_from is None:
            return {}
        files, notes = self._files(fields), output.notes()
        job = Job(**{"seed": 0, **fields, "init": str(files[0])})  # any picture: the models do not depend on which
        plan, _ = resolve(job, device=engine.device)
        fetch_missing(plan, job, offline=models.offline, notes=notes)
        from clipgen.session.first_picture import best_match

        best = best_match(files, plan, engine.device, notes.note)
        notes.say([f"left out: {reason}" for reason in best.unread])
        notes.note(f"starts from {best.path}: of {len(files)} pictures it matches the prompt best, {best.score:.3f}")
        return {"init": str(best.path)}

    def _files(self, fields: Mapping[str, Any]) -> list[Path]:
        """Return the pictures in the folder."""
        others = {"init": "--init", "init_tokens": "--init-tokens"}
        for field, flag in others.items():
            if fields.get(field):
                raise UsageError(f"{FLAG} {str(self.init_from)!r} and {flag} exclude each other; leave one out")
        if fields.get("start") not in (None, INIT):
            raise UsageError(f"--start {fields['start']} and {FLAG} exclude each other; leave one out")
        folder = expanded(self.init_from or Path(), FLAG)
        try:
            is_folder = folder.is_dir()
        except (OSError, ValueError):  # no folder can have such a name
            is_folder = False
        if not is_folder:
            raise UsageError(f"{FLAG} {str(folder)!r} is no folder; name one that holds pictures, or use --init FILE")
        try:
            return picture_files([folder], FLAG)
        except UsageError as error:
            raise UsageError(f"{FLAG}: {error}") from error
