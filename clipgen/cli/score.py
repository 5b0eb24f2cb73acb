"""`clipgen score PICTURE --text "a cat" --text "a dog"`: which of these pictures show, according to CLIPs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clipgen.cli.clip_options import JudgingModels, asked_clips, load_clips, note_long_texts
from clipgen.cli.engine_options import EngineOptions
from clipgen.cli.judged_pictures import judged_pictures, readable, watched
from clipgen.cli.labels import NO_LABELS, label_of, labels_from, with_subfolders
from clipgen.cli.model_options import ModelOptions
from clipgen.cli.option_groups import Option, flat, only, redeclared
from clipgen.cli.output_options import OutputOptions
from clipgen.cli.report import Notes
from clipgen.cli.score_report import AVERAGE, Place, Row, Scored, csv_path, print_scored, write_csv
from clipgen.config.checks import check_whole
from clipgen.errors import UsageError
from clipgen.util.files import make_folder
from clipgen.util.text import quoted

if TYPE_CHECKING:
    from clipgen.judge.zero_shot import Classifier, Member, Scores

USUAL_TOP, MAX_TOP = 5, 1000

Pictures = Annotated[
    list[Path],
    typer.Argument(
        metavar="PICTURE|FOLDER",
        help='Pictures, folders of pictures, patterns such as "outputs/*.png", or - for paths on standard input.',
        show_default=False,
    ),
]
Texts = Annotated[
    list[str] | None,
    Option(
        "--text",
        "What may be seen; repeat it for several. With one text there is no probability, unless the CLIP judges each "
        "text by itself, as SigLIP does: among one, everything is certain.",
        "TEXT",
    ),
]
Labels = Annotated[Path | None, Option("--labels", "A file with a text on each line.", "FILE")]
FromFolders = Annotated[
    bool,
    Option(
        "--labels-from-folders",
        "The name of each picture's folder is its true label, and that of the others' what else it may be; reports how "
        "many are right, and what was taken for what. Of a folder of folders, all are taken.",
    ),
]
Templates = Annotated[
    bool,
    Option(
        "--templates",
        'Say each text in 80 ways, as "a photo of a {}.", and take the mean, as OpenAI did for ImageNet; for texts '
        'that are names, "cat".',
    ),
]
Top = Annotated[
    int | None,
    Option(
        "--top", "How many texts are listed for each picture.", "NUMBER", default="5; with --labels-from-folders, 1"
    ),
]
Csv = Annotated[
    Path | None,
    Option(
        "--csv",
        "Write a table and print its path; nothing is ever overwritten: a name that is taken gets a number.",
        "FILE.csv",
    ),
]
JudgingOutput = Annotated[
    OutputOptions,
    only("as_json", "quiet"),
    redeclared(as_json={"text": "Print one JSON document instead of lines."}, quiet={"text": "Print results alone."}),
]


@flat
def score(
    pictures: Pictures,
    *,
    text: Texts = None,
    labels: Labels = None,
    labels_from_folders: FromFolders = False,
    templates: Templates = False,
    top: Top = None,
    models: JudgingModels,
    engine: Annotated[EngineOptions, only("device")],
    csv: Csv = None,
    output: JudgingOutput,
) -> None:
    """Say which of several texts pictures show, by cosine and by probability (zero-shot classification).

    Ctrl-C stops early and reports on what has been seen.
    """
    check_whole("--top", USUAL_TOP if top is None else top, 1, MAX_TOP)
    path, notes = csv_path(csv) if csv else None, output.notes()
    if not (text or labels or labels_from_folders):
        raise UsageError(NO_LABELS)
    found = judged_pictures(list(with_subfolders(pictures)) if labels_from_folders else pictures, "score", notes)
    known = labels_from(text or [], labels, found if labels_from_folders else [], notes)
    if labels_from_folders and len(known) == 1:
        raise UsageError(f"--labels-from-folders finds one label, {quoted(known[0])}; add other folders, or --text")
    if templates:
        _check_templates(known)
    if path:
        make_folder(path.parent, "--csv")  # now, as judging takes time
    scored = Scored(known, truths=labels_from_folders, top=top or (1 if labels_from_folders else USUAL_TOP))
    try:
        for row in _rows(found, scored, templates, models, engine.device, notes):
            scored.rows.append(row)
        scored.complete = True
    finally:
        if scored.rows:  # after Ctrl-C, too
            print_scored(scored, write_csv(path, scored) if path else None, as_json=output.as_json)


def _check_templates(labels: list[str]) -> None:
    """Refuse sentences, of which "a photo of a a photo of a cat." would be made."""
    for label in labels:
        if label.lower().startswith(("a photo of", "an image of", "a picture of")):
            raise UsageError(
                f"--templates says {quoted(label)} in sentences of its own; give the name alone, as in --text cat"
            )


def _rows(
    found: list[Path], scored: Scored, templates: bool, models: ModelOptions, device: str, notes: Notes
) -> Iterator[Row]:
    """Yield what is to be reported of each picture."""
    members = load_clips(asked_clips(models, notes), device)
    scored.judged_by(members, templates=templates)
    note_long_texts(members, scored.labels, notes, templates=templates)
    classifier = _classifier(members, scored.labels, templates, notes)
    from clipgen.judge.pictures import seen

    for each in readable(seen(found, [member.perceptor for member in members]), len(found), notes, scored.left_out):
        yield row_of(each.path, classifier.scores(each.vectors), scored)


def _classifier(members: list[Member], labels: list[str], templates: bool, notes: Notes) -> Classifier:
    from clipgen.judge.zero_shot import Classifier

    with watched(len(labels) * len(members), "labels", notes) as step:
        return Classifier(members, labels, templates=templates, on_label=step)


def row_of(path: Path, scores: Scores, scored: Scored) -> Row:
    """Return the best labels of a picture, and at which place the true one is by each CLIP."""
    cosines, probabilities = scores.cosines.tolist(), scores.probabilities.tolist()
    orders = [scores.order(row) for row in range(len(cosines))]
    places = [
        Place(scored.labels[k], [row[k] for row in cosines], [row[k] for row in probabilities])
        for k in orders[AVERAGE][: scored.top]
    ]
    if not scored.truths:
        return Row(path, places)
    truth = label_of(path)
    ranks = [1 + order.index(scored.number[truth]) for order in orders]
    return Row(path, places, truth, ranks, scored.labels[orders[AVERAGE][0]])
