"""Jobs of the page: the same pictures as the command line makes, one after the other, stopped and steered."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import Cli, install
from PIL import Image
from test_recipe import pixels
from web_clients import SETTINGS, Client, server
from web_live import until

from clipgen.core.contracts import Outcome
from clipgen.outputs import picture as picture_output
from clipgen.outputs.metadata import read_recipe
from clipgen.session import session

LONG = 100_000
TYPED = ("--size", "48x32", "--steps", "12", "--cutouts", "6", "--lr", "0.1", "--seed", "1", "--preset", "starter")


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    install(monkeypatch.setattr)
    monkeypatch.chdir(tmp_path)
    with server(Path("outputs")) as client:
        yield client


def picture(job: dict[str, object]) -> Path:
    [first, *_] = job["files"]  # type: ignore[misc]
    return Path("outputs") / first["name"]


def test_a_picture_is_that_of_the_command_line(cli: Cli, client: Client) -> None:
    job = client.wait(client.make(films=["gif"])["id"])
    assert (job["state"], job["step"], job["error"], job["stage"]) == ("done", 12, None, "")
    assert [each["name"] for each in job["files"]] == ["red-1.png", "red-1.gif"]
    assert cli("red", *TYPED, "-o", "typed.png", "--gif").exit_code == 0
    assert picture(job).read_bytes() == Path("typed.png").read_bytes()
    assert Path("outputs/red-1.gif").read_bytes() == Path("typed.gif").read_bytes()
    assert job["scores"][0][0] == 0
    assert job["scores"][-1] == [12, pytest.approx(job["score"], abs=1e-4)]


def test_jobs_wait_for_their_turn(client: Client) -> None:
    first = client.make(steps=LONG)
    client.wait_for_step(first["id"], 3)
    second, third = client.make("blue"), client.make("green")
    assert [client.job(each["id"])["position"] for each in (first, second, third)] == [0, 1, 2]
    client.post(f"/api/jobs/{second['id']}/stop")
    assert (client.job(second["id"])["state"], client.job(third["id"])["position"]) == ("stopped", 1)
    client.post(f"/api/jobs/{first['id']}/stop")
    assert client.wait(third["id"])["state"] == "done"
    client.post(f"/api/jobs/{second['id']}/resume")
    assert client.wait(second["id"], "done")["files"][0]["name"] == "blue-1.png"
    order = sorted(Path("outputs").glob("*.png"), key=lambda path: path.stat().st_mtime_ns)
    assert [path.name for path in order] == ["red-1.png", "green-1.png", "blue-1.png"]


def test_a_run_that_was_paused_and_resumed_ends_as_if_it_had_not_been(client: Client) -> None:
    job = client.make(steps=60, lr="0.01")
    client.wait_for_step(job["id"], 5)
    client.post(f"/api/jobs/{job['id']}/pause")
    paused = client.wait(job["id"])
    assert (paused["state"], paused["resumable"]) == ("paused", True)
    assert 5 <= paused["step"] < 60
    assert read_recipe(picture(paused)).outcome is Outcome.INTERRUPTED
    client.post(f"/api/jobs/{job['id']}/resume")
    done = client.wait(job["id"])
    whole = client.wait(client.make(steps=60, lr="0.01")["id"])
    assert (done["state"], done["step"], done["notes"]) == ("done", 60, [])
    assert picture(done).read_bytes() == picture(whole).read_bytes()


def test_a_finished_picture_makes_more_steps_in_its_own_file(client: Client) -> None:
    job = client.wait(client.make()["id"])
    before = pixels(picture(job))
    assert client.post(f"/api/jobs/{job['id']}/extend", {"steps": 8}).json()["state"] == "queued"
    more = client.wait(job["id"])
    assert (more["state"], more["step"], more["total"]) == ("done", 20, 20)
    assert picture(more) == picture(job)
    assert pixels(picture(more)) != before
    assert read_recipe(picture(more)).plan.steps == 20


def test_a_prompt_that_changes_in_mid_run_changes_the_picture(client: Client) -> None:
    job = client.make(steps=LONG, lr="0.1")
    client.wait_for_step(job["id"], 10)
    assert client.post(f"/api/jobs/{job['id']}/prompt", {"prompt": "blue"}).json()["prompt"] == "blue"
    assert client.post(f"/api/jobs/{job['id']}/resume").status_code == 200  # it goes on anyway
    until(lambda: any("the prompt is 'blue'" in line for line in client.job(job["id"])["notes"]))
    client.wait_for_step(job["id"], client.job(job["id"])["step"] + 200)
    client.post(f"/api/jobs/{job['id']}/stop")
    stopped = client.wait(job["id"], "stopped")
    recipe = read_recipe(picture(stopped))
    assert (recipe.plan.text, recipe.steps_done) == ("blue", stopped["step"])
    red, _, blue = Image.open(picture(stopped)).resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
    assert blue > red + 50


def test_a_job_that_waits_takes_another_prompt(client: Client) -> None:
    first, second = client.make(steps=LONG), client.make()
    assert client.post(f"/api/jobs/{second['id']}/prompt", {"prompt": "green"}).status_code == 200
    client.post(f"/api/jobs/{first['id']}/stop")
    done = client.wait(second["id"], "done")
    assert read_recipe(picture(done)).plan.text == "green"


@pytest.mark.parametrize("words", ["", "a|" * 100, "red:nan..2@"])
def test_a_bad_prompt_changes_nothing(client: Client, words: str) -> None:
    job = client.make(steps=LONG)
    answer = client.post(f"/api/jobs/{job['id']}/prompt", {"prompt": words})
    if words:  # odd weights are text, which the fakes do not know; it fails there, or here
        assert answer.status_code in (200, 400)
        return
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("the prompt is empty")
    assert client.job(job["id"])["prompt"] == "red"


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        ({"prompt": ""}, "the prompt is empty; say what to draw"),
        ({"prompt": "red", "settings": {"steps": 0}}, "steps must be a whole number from 1 to 100000, got 0"),
        ({"prompt": "red", "settings": {"step": 3}}, "did you mean steps?"),
        ({"prompt": "red", "settings": {"size": "big"}}, "size must look like 256x256"),
        ({"prompt": "red", "settings": {"preset": "/etc"}}, "preset must be one of"),
        ({"prompt": "red", "settings": {"losses": "palette:5:@/etc/passwd"}}, "losses cannot name files here"),
        ({"prompt": "red", "settings": {"init_weight": 2}}, "needs an init image"),
        ({"prompt": "red", "settings": {"lr": "fast"}}, "lr must be a number"),
        ({"prompt": "red", "mask": "0"}, "this picture is no longer here; send it again"),
        ({"prompt": "red", "init": "../../etc/passwd"}, "this picture is no longer here; send it again"),
        ({"prompt": "red", "films": ["exe"]}, "films must be a list of some of mp4, webm, gif, apng"),
        ({"prompt": ["red"]}, "prompt must be text"),
        ({"prompt": "red", "out": "/tmp/x.png"}, "the key must be one of"),
        ([1], "must be a JSON object"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(client: Client, asked: object, line: str) -> None:
    answer = client.post("/api/jobs", asked)
    assert answer.status_code in (400, 404)
    assert line in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert client.get("/api/jobs").json() == []


def test_a_mask_of_another_size_is_named_as_it_was_sent(client: Client) -> None:
    sent = [
        client.upload(Image.new("RGB", (size, size)), f"{name}.png")["id"]
        for name, size in (("face", 40), ("eyes", 30))
    ]
    answer = client.post("/api/jobs", {"prompt": "red", "init": sent[0], "mask": sent[1]})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("mask 'eyes.png' has 30x30 pixels, the init image 40x40")


def test_a_job_that_fails_says_why_and_the_next_one_is_made(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    good = session.load_models
    monkeypatch.setattr(session, "load_models", full)
    job = client.wait(client.make()["id"])
    assert (job["state"], job["resumable"], job["files"]) == ("failed", True, [])
    assert "No space left on device" in job["error"]
    assert [path.name for path in Path("outputs").iterdir()] == ["red-1.clipgen"]
    monkeypatch.setattr(session, "load_models", good)
    client.post(f"/api/jobs/{job['id']}/resume")
    assert client.wait(job["id"], "done")["error"] is None


def test_a_disk_that_is_full_when_a_job_is_stopped_is_an_error_and_its_state_is_kept(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    job = client.make(steps=LONG)
    client.wait_for_step(job["id"], 5)
    monkeypatch.setattr(picture_output, "write_picture", full)
    client.post(f"/api/jobs/{job['id']}/stop")
    failed = client.wait(job["id"])
    assert (failed["state"], failed["resumable"]) == ("failed", True)
    assert "could not be written: No space left on device" in failed["error"]


def test_jobs_that_are_over_can_be_forgotten_and_their_files_stay(client: Client) -> None:
    running = client.make(steps=LONG)
    client.wait_for_step(running["id"], 1)
    assert client.http.delete(f"/api/jobs/{running['id']}").status_code == 409
    client.post(f"/api/jobs/{running['id']}/stop")
    stopped = client.wait(running["id"])
    assert client.http.delete(f"/api/jobs/{running['id']}").json() == {"id": running["id"]}
    assert client.get(f"/api/jobs/{running['id']}").status_code == 404
    assert picture(stopped).exists()


def test_a_finished_picture_leaves_no_state_when_the_server_ends(tmp_path: Path, client: Client) -> None:
    client.wait(client.make()["id"])
    assert (tmp_path / "outputs" / "red-1.clipgen").exists()
    client.queue.close()
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["red-1.png"]


def test_a_server_that_ends_keeps_the_picture_and_the_next_one_goes_on(client: Client) -> None:
    job = client.make(steps=80, lr="0.01")
    client.wait_for_step(job["id"], 5)
    client.queue.close()
    stopped = client.job(job["id"])
    assert stopped["state"] == "stopped"
    with server(Path("outputs")) as later:
        until(lambda: later.get("/api/jobs").json())
        [left] = later.get("/api/jobs").json()
        assert (left["state"], left["resumable"], left["step"], left["prompt"]) == (
            "stopped",
            True,
            stopped["step"],
            "red",
        )
        assert left["picture"] == stopped["picture"]
        later.post(f"/api/jobs/{left['id']}/resume")
        assert later.wait(left["id"])["step"] == 80
        whole = later.wait(later.make(steps=80, lr="0.01")["id"])
    assert picture(left).read_bytes() == picture(whole).read_bytes()


def test_jobs_that_wait_outlive_the_server(client: Client) -> None:
    first = client.make(steps=LONG)
    init = client.upload(Image.new("RGB", (48, 32), "green"))
    client.post("/api/jobs", {"prompt": "red", "init": init["id"], "settings": SETTINGS})
    waiting = client.make("blue", films=["gif"])
    for prompt in ("green", "white"):
        job = client.make(prompt)
    client.post(f"/api/jobs/{job['id']}/stop")  # who leaves the queue is gone
    client.post(f"/api/jobs/{waiting['id']}/prompt", {"prompt": "blue|green"})
    client.wait_for_step(first["id"], 1)
    assert client.queue.close() == 3
    with server(Path("outputs")) as later:
        until(lambda: len(later.get("/api/jobs").json()) == 4)
        left = {each["prompt"]: each for each in later.get("/api/jobs").json() if each["state"] == "paused"}
        assert {prompt: (each["step"], each["resumable"]) for prompt, each in left.items()} == dict.fromkeys(
            ("red", "blue|green", "green"), (0, True)
        )
        for job in left.values():
            later.post(f"/api/jobs/{job['id']}/resume")
        done = {prompt: picture(later.wait(job["id"], "done")) for prompt, job in left.items()}
        again = {prompt: picture(later.wait(later.make(prompt)["id"], "done")) for prompt in ("blue|green", "green")}
    assert [path.name for path in Path("outputs").glob("*.clipgen")] == ["red-1.clipgen"]
    assert read_recipe(done["red"]).plan.init
    assert {prompt: pixels(done[prompt]) for prompt in again} == {prompt: pixels(again[prompt]) for prompt in again}
    assert done["blue|green"].with_suffix(".gif").exists()


def test_a_job_that_never_began_is_forgotten_with_its_state(client: Client) -> None:
    running, waiting = client.make(steps=LONG), client.make("blue")
    client.post(f"/api/jobs/{waiting['id']}/pause")
    assert Path("outputs/blue-1.clipgen").exists()
    assert client.http.delete(f"/api/jobs/{waiting['id']}").status_code == 200
    assert not Path("outputs/blue-1.clipgen").exists()
    client.post(f"/api/jobs/{running['id']}/stop")
    client.wait(running["id"])
