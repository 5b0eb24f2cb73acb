"""The loss anchor: the MSE recipe of the notebooks, whose epochs each hold on to what the last has reached."""

from dataclasses import replace

import pytest
import torch
from fakes import fake_models, plan

from clipgen.engine.run import Run
from clipgen.errors import UsageError


def distances(run: Run, steps: int) -> list[float]:
    """The unweighted distances from the start, before each step."""
    found = []
    for _ in range(steps):
        [step] = run.find_gradients()
        found.append(float(step.terms["anchor"]))
        run.update()
    return found


@pytest.mark.parametrize("backend", ["vqgan", "dvae", "pixels", "strokes"])
def test_each_epoch_holds_on_to_what_the_last_has_reached(backend: str) -> None:
    asked = plan("red", backend=backend, start="noise", losses=("anchor:1:3",), steps=12)
    run = Run([asked], fake_models(backend))
    found = distances(run, 12)
    assert found[0] == 0.0
    for first in (4, 8):
        assert found[first] < 1e-6 < found[first - 1]
        latent = run.loop.generator.tensors()
        assert not torch.equal(latent["start"], torch.zeros_like(latent["start"]))


def test_an_anchored_run_continues_where_it_was_stopped() -> None:
    asked = plan("red", start="noise", losses=("anchor:2..0:3",), steps=9)
    whole = Run([asked], fake_models())
    for done in range(9):
        if done in (3, 5):
            rest = Run([asked], fake_models(), snapshots=[whole.snapshot(0)])
        whole.find_gradients()
        whole.update()
    for _ in range(4):
        rest.find_gradients()
        rest.update()
    assert torch.equal(rest.finish()[0].image, whole.finish()[0].image)


def test_the_latents_stay_where_they_are_when_an_epoch_begins() -> None:
    asked = plan("red", start="noise", losses=("anchor:0.001:2",), steps=8, backend="pixels")
    free = replace(asked, losses=asked.losses[:1])
    runs = [Run([each], fake_models("pixels")) for each in (asked, free)]
    for run in runs:
        for _ in range(5):
            run.find_gradients()
            run.update()
    held, loose = (run.loop.generator.decode() for run in runs)
    assert (held - loose).abs().max() < 0.2


def test_a_number_of_epochs_is_one() -> None:
    for bad in ("0", "x", "101", "1.5"):
        with pytest.raises(UsageError, match="takes a number of epochs from 1 to 100"):
            plan("red", losses=(f"anchor:1:{bad}",))
