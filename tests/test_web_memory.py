"""Jobs that are over leave nothing in memory but a line each, of which there are not many."""

import gc
from collections import Counter
from pathlib import Path

import psutil
import pytest
import torch
from fakes import install
from web_clients import server

from clipgen.config.plan import Plan
from clipgen.core.contracts import Step
from clipgen.session.session import Session
from clipgen.session.state import Workspace
from clipgen.web import jobs
from clipgen.web.job import WebJob

KINDS = (Plan, Step, Session, Workspace, WebJob, torch.Tensor)
MAX_GROWTH = 15_000_000


def held() -> Counter[str]:
    """Count the objects that a job needs while it is made."""
    gc.collect()
    return Counter(type(each).__name__ for each in gc.get_objects() if type(each) in KINDS)


@pytest.mark.parametrize(
    ("few", "many"), [(6, 18), pytest.param(30, 130, marks=pytest.mark.slow)], ids=["a dozen", "a hundred"]
)
def test_many_jobs_take_no_more_memory_than_few(
    few: int, many: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch.setattr)
    monkeypatch.setattr(jobs, "MAX_OVER", 5)
    monkeypatch.setattr(jobs, "MAX_STATES", 3)
    folder, sizes, counts = tmp_path / "outputs", {}, {}
    with server(folder) as client:
        for number in range(1, many + 1):
            job = client.make("red", steps=1, seed=number)
            client.wait(job["id"])
            client.get(f"/api/jobs/{job['id']}/frame.jpg")
            if number in (few, many):
                counts[number] = held()
                sizes[number] = psutil.Process().memory_info().rss
        assert len(client.get("/api/jobs").json()) == 5
        assert len(list(folder.glob("*.clipgen"))) == 3
        assert client.get("/api/gallery").json()["total"] == many
    assert list(folder.glob("*.clipgen")) == []
    assert counts[many] == counts[few]
    assert sizes[many] - sizes[few] < MAX_GROWTH, sizes
