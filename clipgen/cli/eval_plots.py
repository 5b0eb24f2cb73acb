"""`clipgen eval --plots` and `--plot FILE.json`: scores over steps, and quality over seconds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipgen.cli.eval_run import SECONDS, guide_of
from clipgen.cli.report import echo_path
from clipgen.cli.values import expanded
from clipgen.errors import UsageError

if TYPE_CHECKING:
    from clipgen.cli.eval_run import Run
    from clipgen.judge.judges import Judge
    from clipgen.outputs.plots import Quality
    from clipgen.session.evaluation_run import Maker, Wanted

PROMPTS, POINTS = 4, 20
"""How many prompts are plotted over the steps, and in about how many points."""
MAIN = ("R@1", "top-1", "judge cosine", "judge probability")
"""The measures that are plotted over the seconds: the first that a record has."""
STEM = "quality-over-seconds"


def check_plots() -> None:
    """Raise a UsageError unless plots can be drawn."""
    from clipgen.outputs.plots import check_matplotlib

    check_matplotlib("--plots")


def plot_steps(run: Run, stem: str, maker: Maker, wanted: Sequence[Wanted], judge: Judge) -> dict[str, Any]:
    """Make the first pictures once more, plot their scores over the steps, and return these."""
    from clipgen.outputs.plots import plot_curves

    guide = guide_of(maker, wanted[0], classifier=judge.is_classifier)
    steps: dict[str, list[int]] = {}
    by_judge: dict[str, list[float]] = {}
    by_guide: dict[str, list[float]] = {}
    for each in [one for one in wanted[:PROMPTS] if judge.taken(one.text)]:
        run.tell(f"scores over steps  {each.text}")
        steps[each.text], by_judge[each.text], seen = _curve(maker, each, judge, guide)
        if guide and guide.taken(each.text):
            by_guide[each.text] = seen
    if steps:
        names = judge.name, guide.name if guide else ""
        path = plot_curves(run.out, stem, steps, by_judge, by_guide, names)
        if not run.as_json:
            echo_path(path)
    return {"steps": steps, "judge": by_judge, "guide": by_guide}


def _curve(
    maker: Maker, wanted: Wanted, judge: Judge, guide: Judge | None
) -> tuple[list[int], list[float], list[float]]:
    """Make a picture, and return steps of its run, and the scores of the picture at these by judge and guide."""
    from clipgen.engine.optimise import optimise
    from clipgen.outputs.plots import StepImages

    sink = StepImages(max(wanted.plan.steps // POINTS, 1))
    optimise(wanted.plan, maker.session.models(wanted.plan), [sink])

    def scores(one: Judge | None) -> list[float]:
        known = one is not None and one.taken(wanted.text)
        texts = [wanted.text] * len(sink.images)
        found: list[float] = one.scores(one.vectors(sink.images), texts).tolist() if one and known else []
        return found

    return sink.steps, scores(judge), scores(guide)


def plot_records(files: Sequence[Path], out: Path) -> None:
    """Plot what evaluations have reached over the seconds that a picture took, and print the path."""
    from clipgen.outputs.plots import check_matplotlib, plot_quality

    check_matplotlib("--plot")
    read = [_read(expanded(path, "--plot")) for path in files]
    measures = list(dict.fromkeys(measure for measure, _ in read))
    if len(measures) > 1:
        raise UsageError(f"--plot compares evaluations by one measure, and these have {' and '.join(measures)}")
    echo_path(plot_quality(out, STEM, measures[0], [quality for _, quality in read]))


def _read(path: Path) -> tuple[str, Quality]:
    """Return the main measure of a record, and its value. Raises UsageError."""
    from clipgen.outputs.plots import Quality

    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        measure, (value, low, high) = _main(record)
        seconds = record.get(SECONDS) or record["scores"][SECONDS]
        return measure, Quality(path.stem, float(seconds), value, low, high)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--plot {path} cannot be read ({error}); check the path") from error
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise UsageError(f"--plot {path} is no record of an evaluation; name a JSON file of clipgen eval") from error


def _main(record: Mapping[str, Any]) -> tuple[str, tuple[float, float, float]]:
    """Return the main measure of a record, by its first judge, with its interval; what it depends on is in its name."""
    judges = record.get("judges")
    if isinstance(judges, Mapping):  # of a file of prompts
        judge, found = next(iter(judges.items()))
        scores = sure = found["scores"]
        among = f"{record['n']} prompts, by {judge}"
    elif judges:  # of things
        scores, sure = record["scores"][judges[0]], record.get("intervals", {}).get(judges[0], {})
        among = f"things, by {judges[0]}"
    else:
        scores, sure = record["scores"], record.get("intervals", {})
        among = f"{len(set(record['prompts']))} prompts of the drawn world"
    name = next(name for name in MAIN if name in scores)
    row = sure.get(name) or dict.fromkeys(("value", "low", "high"), scores[name])
    return f"{name} among {among}", (float(row["value"]), float(row["low"]), float(row["high"]))
