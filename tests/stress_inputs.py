"""Stress by what is given: hostile files, servers, numbers; and what a picture tells of its maker."""

from pathlib import Path
from random import Random

import mutators
import torch
from archives import in_dict, write_legacy, write_tar, write_zip
from hostile_files import CONTAINERS, PICKLES, SAFETENSORS
from loopback import (  # fmt: skip
    CONTENT,
    HALF,
    OTHER,
    SHA256,
    Files,
    LoopbackServer,
    cuts,
    drips,
    fetcher,
    in_turn,
    missing,
    says,
    serves,
    unknown_length,
)
from stress import SMALL, World, pictures

from clipgen.core.loop import Loop
from clipgen.errors import ClipgenError
from clipgen.weights import fetch
from clipgen.weights.cache import Cache


def hostile(one: World, draw: Random) -> None:
    what = draw.choice(("init", "recipe", "weights", "clip", "yaml", "prompts", "json", "state"))
    given = one.folder / "given.png"
    if what == "init":
        given.write_bytes(mutators.picture(draw.randrange(10**6)))
        one.cli("red", *SMALL, "--init", given)
    elif what == "recipe":
        text = mutators.json_text(draw.randrange(10**6), {"schema": 2, "plan": mutators.job_record()})
        kind = draw.choice((b"tEXt", b"iTXt"))
        body = b"clipgen\0" + (b"\0\0\0\0" if kind == b"iTXt" else b"") + text.encode("utf-8", "replace")
        given.write_bytes(mutators.png(8, 8, mutators.chunk(kind, body), colour=2))
        one.cli(draw.choice(("replay", "info", "resume")), given)
    elif what in ("weights", "clip"):
        path = one.folder / draw.choice(("given.pt", "given.safetensors"))
        make_weights(path, draw)
        flags = ("--vqgan", path) if what == "weights" else ("--clip", "ViT-B-32", "--clip-weights", path)
        result = one.cli("red", *SMALL, *flags)
        assert result.exit_code in (1, 2, 3), result.stderr
    elif what == "yaml":
        torch.save({"w": torch.ones(2)}, one.folder / "given.pt")
        (one.folder / "given.yaml").write_text(yaml_text(draw), encoding="utf-8", errors="replace")
        result = one.cli("red", *SMALL, "--vqgan", "given.pt", "--vqgan-config", "given.yaml")
        assert result.exit_code in (1, 2), result.stderr
    elif what == "prompts":
        lines = [mutators.prompt(draw.randrange(10**6)) for _ in range(draw.randrange(4))]
        end = draw.choice((b"\n", b"\r\n", b"\0", b"\xff\xfe"))
        (one.folder / "given.txt").write_bytes(end.join(line.encode("utf-8", "surrogatepass") for line in lines))
        one.cli("batch", "given.txt", *SMALL)
    elif what == "json":
        (one.folder / "given.json").write_text("[" * draw.randrange(1, 100_000))
        one.cli("replay", "given.json")
    else:
        state = one.folder / "red-1.clipgen"
        state.mkdir()
        (state / "job.json").write_text(
            mutators.json_text(draw.randrange(10**6), {"schema": 2, "plan": {}, "films": []})
        )
        (state / "state.safetensors").write_bytes(draw.randbytes(100))
        one.cli("resume", state)


def make_weights(path: Path, draw: Random) -> None:
    """A hostile file of a random kind and size."""
    size = draw.choice((1_000, 5_000, 60_000))
    kind = draw.randrange(4)
    if kind == 0:
        CONTAINERS[draw.choice(sorted(CONTAINERS))](path, size)
    elif kind == 1:
        SAFETENSORS[draw.choice(sorted(SAFETENSORS))](path, size)
    elif kind == 2:
        pickled = PICKLES[draw.choice(sorted(PICKLES))](size)
        draw.choice((write_zip, write_legacy, write_tar))(path, in_dict(state_dict=pickled))
    else:
        torch.save({"state_dict": {"w": torch.ones(3), "v": torch.ones(2, 2)}}, path)
        content = bytearray(path.read_bytes())
        for _ in range(draw.randrange(1, 20)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        path.write_bytes(content[: draw.choice((len(content), draw.randrange(1, len(content))))])


def yaml_text(draw: Random) -> str:
    shape = "{double_z: false, z_channels: 8, resolution: 256, in_channels: 3, out_ch: 3, ch: 32, ch_mult: [1, 2], num_res_blocks: 1, attn_resolutions: [16], dropout: 0.0}"  # fmt: skip  # noqa: E501
    text = f"model: {{target: a.VQModel, params: {{embed_dim: 8, n_embed: 16, ddconfig: {shape}}}}}"
    values = ("1:30", '!!float ""', '!!int ""', "[" * 30, "*a", "&a x", "!!python/name:os.system x", "9" * 400, ".nan", "-1", "null", "${a}", "{}", "\x00", "1e400", "2001-13-01", "!!binary x", "? a")  # fmt: skip  # noqa: E501
    old = draw.choice(("8", "16", "256", "[1, 2]", "0.0", "a.VQModel", "false"))
    return text.replace(old, draw.choice(values), 1)


def downloads(one: World, draw: Random) -> None:
    """A few mirrors, each with some answers in turn: the file comes whole and right, or not at all."""
    one.patch.delenv("HF_HUB_OFFLINE", raising=False)
    one.patch.setattr(fetch, "MAX_BYTES", 10**6)
    one.patch.setattr(fetch, "CHUNK", draw.choice((1000, 1 << 20)))
    answers = [
        serves(CONTENT), serves(CONTENT, etag=None), serves(OTHER), missing, says(503), says(429), says(200, b"<html>"),
        cuts(CONTENT, HALF), cuts(CONTENT, 0), cuts(OTHER, HALF), drips(CONTENT, 9000), unknown_length(CONTENT),
        unknown_length(CONTENT[:-1]), unknown_length(bytes(3 * 10**6)), says(302, Location="/0"),
        says(302, Location="file:///etc/passwd"), says(302, Location="http://192.0.2.1/"), says(206, CONTENT[:9]),
        says(416), says(200, CONTENT, Content_Encoding="gzip"), says(200, CONTENT, Content_Length="x"),
        says(200, b"", Content_Length=10**15), says(200, CONTENT[:9], Content_Length=len(CONTENT)),
        says(204), says(999), says(200, CONTENT, X_Odd="\x7f\x00"),
    ]  # fmt: skip
    with LoopbackServer() as server:
        paths = [f"/{k}" for k in range(draw.randrange(1, 4))]
        for path in paths:
            server.routes[path] = in_turn(*(draw.choice(answers) for _ in range(draw.randrange(1, 5))))
        known = draw.random() < 0.6
        record = Files(server, CONTENT, SHA256).record(*paths, **({} if known else {"sha256": None, "size": None}))
        cache, notes = Cache(one.folder / "cache"), []
        for _ in range(draw.randrange(1, 4)):
            asked, refused = len(server.log), ""
            try:
                limits = {"stall_seconds": 5.0, "head_seconds": 5.0, "crawl_seconds": 5.0, "note": notes.append}
                path = fetcher(cache, **limits).fetch(record, trust_on_first_use=True)
            except ClipgenError as error:
                refused = str(error)
            else:
                assert path.read_bytes() == CONTENT or not known, "another file"
            assert "\n" not in refused
            assert not (refused and cache.path(record).exists())
            assert len(server.log) - asked < 80, "no end of requests"


NUMBERS = ("0", "-1", "1", "2", "1e400", "nan", "inf", "-inf", "1e-50", "1e-320", "0.1", "1_000", "\uff11", "0x10", "9" * 30, "", " ", "3.0", "+2", "1e3", "-0", "²")  # fmt: skip  # noqa: E501
FLAGS = ("--steps", "--seed", "--lr", "--cutouts", "--init-weight", "--save-every", "--size", "--candidates", "--preview-every", "--fps")  # fmt: skip  # noqa: E501


def numbers(one: World, draw: Random) -> None:
    if draw.random() < 0.5:
        prompt = "|".join(f"{draw.choice(('red', 'blue'))}:{draw.choice(NUMBERS)}" for _ in range(draw.randrange(1, 4)))
        value = draw.choice((*NUMBERS, "1x1", "0x0", "32x", "99999x9", "32x-1"))
        flag = draw.choice(FLAGS)
        if (flag, value) not in (("--steps", "1e3"), ("--steps", "1_000")):
            one.cli(draw.choice(("red", prompt)), *SMALL, f"{flag}={value}")
        return
    usual, left, value = Loop.measure, [draw.randrange(1, 6)], draw.choice((float("nan"), float("inf"), -float("inf")))
    times = draw.choice((1, 2, 10**6))

    def bad(self: Loop, images: torch.Tensor) -> object:
        left[0] -= 1
        return usual(self, images * value if -times < left[0] <= 0 else images)

    one.patch.setattr(Loop, "measure", bad)
    result = one.cli("red", *SMALL, "--lr", draw.choice(("0.1", "100")))
    assert result.exit_code in (0, 5), result.stderr


SECRET = "s3cr3t"


def privacy(one: World, draw: Random) -> None:
    """Neither a folder nor a user is named in what may be published."""
    secret = one.folder / SECRET
    secret.mkdir()
    for name in ("USER", "LOGNAME", "HOSTNAME", "USERNAME"):
        one.patch.setenv(name, SECRET)
    one.patch.setenv("HOME", str(secret))
    given = secret / "given.png"
    given.write_bytes(mutators.pictures()[draw.randrange(3)])
    asked = [
        "red",
        *SMALL,
        *draw.choice(((), ("--gif",), ("--video",))),
        "-o",
        draw.choice((secret, secret / "red.png")),
    ]
    if draw.random() < 0.7:
        asked += [
            "--init",
            draw.choice((given, Path("..", one.folder.name, SECRET, "given.png"), given.relative_to(one.folder))),
        ]
    asked += draw.choice(((), ("--no-metadata",), ("--json",)))
    result = one.cli(*asked)
    assert result.exit_code == 0, result.stderr
    if draw.random() < 0.5:
        again = one.cli(
            "replay", pictures(one.folder)[0], "-o", "again", *(("--init", given) if "--init" in asked else ())
        )
        assert again.exit_code in (0, 2), again.stderr
    for path in (*pictures(one.folder), *secret.glob("*.gif"), *secret.glob("*.mp4")):
        content = path.read_bytes()
        for word in (SECRET, str(one.folder), one.folder.parent.name):
            assert word.encode() not in content, f"{path.name} says {word}"
