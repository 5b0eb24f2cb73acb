"""What several test files set up in the same way."""

from pathlib import Path

import pytest
from fakes import Cli, fake_models
from typer.testing import CliRunner

from clipgen import runner
from clipgen.cli.app import app


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Types a command in an empty folder, on a machine whose models are the fakes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "load_models", lambda job, device: fake_models(job.backend))
    return lambda *args, **settings: CliRunner().invoke(app, list(args), **settings)
