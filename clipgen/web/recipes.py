"""From the recipe of a picture back to a request, and to the same picture again. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clipgen.config.job import Job
from clipgen.config.plan import Plan, spell
from clipgen.config.preset import INIT
from clipgen.config.prompts import Prompt, scenes_in, spell_prompts
from clipgen.config.schedules import ALWAYS
from clipgen.config.targets import IMAGE
from clipgen.errors import UsageError
from clipgen.session.planning import change_plan
from clipgen.session.reading_plans import job_of
from clipgen.util.text import quoted
from clipgen.web.options import FIELDS
from clipgen.web.requests import ImagePrompt, Planned, Planner, Request
from clipgen.web.uploads import Uploads

if TYPE_CHECKING:
    from clipgen.outputs.metadata import Recipe

_OFFERED = {*FIELDS, "prompts", "init", "mask", "targets", "first_cutouts", "judges"}
"""Fields of a job that a request has, or that do not matter to it."""


def request_of(plan: Plan, init_sha256: str | None, uploads: Uploads) -> tuple[Request, list[str]]:
    """Return a request for what a plan has, as far as the page offers it, and a note on what it lacks."""
    job, notes = job_of(plan), list[str]()
    settings = dict(_settings_of(job))
    if plan.preset not in FIELDS["preset"].choices:
        notes.append(f"the preset {plan.preset} is one of your own, which the page cannot choose")
        del settings["preset"]
    wanted, avoided = _sides(plan.prompts)
    masks = [(row.mask, row.sha256) for row in plan.edit if row.is_file]
    found = {INIT: (plan.init, init_sha256), "mask": masks[0] if masks else ("", "")}
    kept = {name: uploads.of_digest(digest or "") for name, (_, digest) in found.items()}
    notes += [
        f"the picture {quoted(file)} is not inside it; add it again"
        for name, (file, _) in found.items()
        if file and not kept[name]
    ]
    images = []
    for row in plan.targets:
        upload = uploads.of_digest(row.sha256) if row.kind == IMAGE else None
        if upload and row.weight.kind == ALWAYS.kind:
            images.append(ImagePrompt(upload.id, row.weight.start))
        else:
            notes.append(f"the page has no {row.typed}" if row.kind != IMAGE else f"add again: {row.typed}")
    notes += list(_lacking(job, is_place=bool(plan.edit) and not masks))
    ids = {name: each.id for name, each in kept.items() if each}
    if not ids.get("init"):
        settings = {name: value for name, value in settings.items() if FIELDS[name].group != "Starting image"}
    return Request(wanted, avoided, tuple(images), ids.get("init"), ids.get("mask"), settings), notes


def _lacking(job: Job, *, is_place: bool) -> Iterator[str]:
    """Name what a job asks for and the page does not offer."""
    for name, value in job.to_dict().items():
        if value and (name not in _OFFERED or (name == "mask" and is_place)):
            yield f"the page has no --{name.replace('_', '-')}, which is left out: {quoted(value)}"


def _settings_of(job: Job) -> Iterator[tuple[str, Any]]:
    """Yield the settings of a job that the page offers, as it sends them."""
    for name, row in FIELDS.items():
        value = getattr(job, name, None)
        if value is None or value is False or value == ():
            continue
        if name == "size":
            value = spell(value)
        elif name == "losses":
            value = " ".join(value)
        elif name == "cutouts" and job.first_cutouts:
            value = f"{job.first_cutouts}..{value}"
        yield name, str(value) if row.type == "text" else value


def _sides(prompts: Sequence[Prompt]) -> tuple[str, str | None]:
    """Return the prompt and the negative prompt of texts."""
    avoided = [one for one in prompts if one.peak < 0]
    if not avoided or len(avoided) == len(prompts) or len(scenes_in(prompts)) > 1:
        return spell_prompts(prompts), None
    spelled = [
        str(replace(one, weight=-one.weight, schedule=None)) if not one.schedule else str(one) for one in avoided
    ]
    if any(one.weight == -1.0 for one in avoided):  # which would be read as one without a weight
        return spell_prompts(prompts), None
    return spell_prompts([one for one in prompts if one.peak >= 0]), "|".join(spelled)


def replanner_of(recipe: Recipe, uploads: Uploads, device: str, **changes: Any) -> Planner:
    """Return what plans a picture again by its recipe, with some changes. Raises UsageError if it needs files."""
    files = _files_of(recipe, uploads)

    def plan(prompts: tuple[Prompt, ...] | None) -> Planned:
        asked = {**files, **changes} | ({"prompts": prompts} if prompts else {})
        return change_plan(recipe.plan, asked, device)

    return plan


def _files_of(recipe: Recipe, uploads: Uploads) -> dict[str, Any]:
    """Return the fields that name the files of a recipe: no path in it is followed. Raises UsageError."""

    def path(name: str, sha256: str | None) -> str:
        upload = uploads.of_digest(sha256 or "")
        if upload is None:
            raise UsageError(
                f"it was made with {quoted(name)}, which is not inside it: load its recipe and add the file"
            )
        return str(upload.path)

    plan = recipe.plan
    if plan.overlay or plan.init_tokens:
        raise UsageError("it was made with an overlay or with tokens, which are not inside it: use clipgen replay")
    changes: dict[str, Any] = {}
    if plan.init:
        changes["init"] = path(plan.init, recipe.init_sha256)
    for edit in plan.edit:
        if edit.is_file:
            changes["mask"] = path(edit.mask, edit.sha256)
    if any(row.is_file for row in plan.targets):
        changes["targets"] = tuple(
            str(replace(row, detail=path(row.detail, row.sha256)) if row.is_file else row) for row in plan.targets
        )
    return changes
