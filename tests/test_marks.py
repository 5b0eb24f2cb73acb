"""Pictures and films say in XMP that a computer made them, in words that other programs read."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fakes import Cli
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_resume import SMALL

from clipgen.errors import UsageError
from clipgen.outputs.embedded import source_in
from clipgen.outputs.whole import is_whole_film
from clipgen.outputs.xmp import COMPOSITE, TRAINED, Packet, joined_source, packet, parsed

EXIFTOOL = shutil.which("exiftool")
FILMS = ("--mp4", "--webm", "--gif", "--apng")
STROKES = ("--backend", "strokes", "--strokes", "8")
QUICK = (*SMALL[:-2], "--save-every", "600")


def said(path: Path) -> dict[str, str]:
    """What ExifTool, or where it is missing a plain parser of XML, finds in a file."""
    if EXIFTOOL:
        asked = [EXIFTOOL, "-j", "-XMP-iptcExt:DigitalSourceType", "-XMP-xmp:CreatorTool", "-Comment", str(path)]
        [found] = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
        return {key: value for key, value in found.items() if key != "SourceFile"}
    data = path.read_bytes()
    start, end = data.find(b"<x:xmpmeta"), data.find(b"</x:xmpmeta>")
    found = {} if start < 0 else {each.tag.split("}")[1]: each.text for each in tree(data[start : end + 12]).iter()}
    if b"Digital source type" in data and path.suffix in (".mp4", ".webm"):
        found["Comment"] = data[data.find(b"Made with") :][:200].decode("utf-8", "ignore")
    return {key: str(found[key]) for key in ("DigitalSourceType", "CreatorTool", "Comment") if key in found}


def tree(data: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(data)  # of a file that this test made


def made(cli: Cli, *args: str) -> Sequence[Path]:
    result = cli(*args)
    assert result.exit_code == 0, result.stderr
    return [Path(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("metadata", [(), ("--no-metadata",)], ids=["recipe", "bare"])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_every_picture_says_so_with_and_without_a_recipe(cli: Cli, name: str, metadata: tuple[str, ...]) -> None:
    [path] = made(cli, *QUICK, "-o", name, *metadata)
    found = said(path)
    assert found["DigitalSourceType"] == TRAINED
    assert found["CreatorTool"].startswith("clipgen ")
    assert source_in(path) == TRAINED


def test_films_say_so_where_their_format_has_a_place(cli: Cli) -> None:
    _, *films = made(cli, *QUICK, "-o", "a.png", *FILMS)
    assert len(films) == 4
    for film in films:
        found = said(film)
        assert TRAINED in (found["Comment"] if film.suffix == ".webm" else found["DigitalSourceType"])
        assert is_whole_film(film)
        if film.suffix in (".gif", ".apng"):
            with Image.open(film) as image:
                image.seek(image.n_frames - 1)  # type: ignore[attr-defined]
                image.load()
    assert TRAINED in said(films[0])["Comment"]


def test_a_drawing_says_so_in_its_metadata(cli: Cli) -> None:
    _, drawing = made(cli, *QUICK, *STROKES, "-o", "a.png")
    assert said(drawing)["DigitalSourceType"] == TRAINED
    about = tree(drawing.read_bytes()).find("{http://www.w3.org/2000/svg}metadata")
    assert about is not None
    assert about.find(".//{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType") is not None


def test_the_switch_leaves_nothing_behind(cli: Cli) -> None:
    for path in made(cli, *QUICK, *STROKES, "-o", "a.png", *FILMS, "--no-mark", "--save-every-step", "6"):
        assert said(path).keys() <= {"Comment"}
        assert b"trainedAlgorithmicMedia" not in path.read_bytes()
    assert cli("info", "a.png").exit_code == 0
    assert source_in(Path("a-steps/000006.png")) == ""


def test_a_picture_that_took_part_makes_it_a_composite(cli: Cli) -> None:
    Image.new("RGB", (32, 32), "red").save("photo.png")
    for number, args in enumerate((("--init", "photo.png"), ("--image-prompt", "photo.png"))):
        [path] = made(cli, *QUICK, *args, "-o", f"a{number}.png")
        assert said(path)["DigitalSourceType"] == COMPOSITE


def test_a_sheet_of_such_pictures_says_so_and_one_of_others_does_not(cli: Cli) -> None:
    made(cli, *QUICK, "-o", "ours/a.png")
    Image.new("RGB", (32, 32)).save("photo.png")
    expected = {"ours.png": ("ours",), "mixed.png": ("ours", "photo.png"), "photos.png": ("photo.png",)}
    found = {name: source_in(made(cli, "sheet", *what, "-o", name)[0]) for name, what in expected.items()}
    assert found == {"ours.png": TRAINED, "mixed.png": COMPOSITE, "photos.png": ""}


def test_what_is_put_together_of_composites_is_one() -> None:
    assert joined_source([TRAINED, COMPOSITE]) == COMPOSITE
    assert joined_source(["", "http://example.org/other"]) == joined_source([]) == ""


@given(recipe=st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc", "Co", "Cn"])))
def test_any_text_comes_back_from_a_packet_that_is_whole_xml(recipe: str) -> None:
    data = packet(TRAINED, recipe)
    assert parsed(data) == Packet(TRAINED, recipe)
    assert tree(data).tag == "{adobe:ns:meta/}xmpmeta"


def test_a_packet_of_other_software_is_understood() -> None:
    element = f"<Iptc4xmpExt:DigitalSourceType>{TRAINED}</Iptc4xmpExt:DigitalSourceType>".encode()
    attribute = f'rdf:about="" Iptc4xmpExt:DigitalSourceType="{TRAINED}">'.encode()
    attribute = packet(TRAINED).replace(element, b"").replace(b'rdf:about="">', attribute)
    assert parsed(attribute).source == TRAINED
    for wrong in (b"", b"<x>", b"\xff\xfe<", b"<x/><y/>"):
        with pytest.raises(UsageError):
            parsed(wrong)
