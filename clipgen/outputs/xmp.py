"""XMP packets: that a computer made a picture, in the words of IPTC, and where there is no other place its recipe.

`DigitalSourceType` is IPTC's property for how a picture came to be, which picture agencies, search engines and social
networks read: https://cv.iptc.org/newscodes/digitalsourcetype. Torch-free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.parsers import expat

from clipgen import __version__
from clipgen.errors import UsageError

if TYPE_CHECKING:
    from clipgen.config.plan import Plan

CODES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
TRAINED = f"{CODES}trainedAlgorithmicMedia"
"""Made by a model that was trained on sampled content."""
COMPOSITE = f"{CODES}compositeWithTrainedAlgorithmicMedia"
"""Such media together with others, as a photograph from which a run starts."""
MAX_PACKET = 1_000_000
"""Bytes of a packet that are read."""

_META, _RDF = "adobe:ns:meta/", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMP, _IPTC = "http://ns.adobe.com/xap/1.0/", "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_OWN = "urn:clipgen:"
_PREFIXES = {"x": _META, "rdf": _RDF, "xmp": _XMP, "Iptc4xmpExt": _IPTC, "clipgen": _OWN}
_SOURCE, _RECIPE = f"{_IPTC}DigitalSourceType", f"{_OWN}recipe"
_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_END = '\n<?xpacket end="r"?>'


@dataclass(frozen=True)
class Packet:
    """What is read of a packet, untrusted."""

    source: str = ""
    """Its DigitalSourceType; empty for none."""
    recipe: str | None = None
    """JSON, if clipgen wrote it."""


def source_of(plan: Plan) -> str:
    """Return how the picture of a plan comes to be, a code of IPTC: composite if any picture took part in it."""
    return COMPOSITE if plan.init or plan.files else TRAINED


def joined_source(sources: list[str]) -> str:
    """Return the code for a picture that is put together of others; empty if none of them is marked."""
    if not any(each in (TRAINED, COMPOSITE) for each in sources):
        return ""
    return TRAINED if set(sources) == {TRAINED} else COMPOSITE


def packet(source: str = "", recipe: str | None = None) -> bytes:
    """Return the packet with a DigitalSourceType, and a recipe, if there are such; empty without either."""
    if not source and recipe is None:
        return b""
    for prefix, uri in _PREFIXES.items():
        ElementTree.register_namespace(prefix, uri)
    root = ElementTree.Element(f"{{{_META}}}xmpmeta")
    rdf = ElementTree.SubElement(root, f"{{{_RDF}}}RDF")
    about = ElementTree.SubElement(rdf, f"{{{_RDF}}}Description", {f"{{{_RDF}}}about": ""})
    ElementTree.SubElement(about, f"{{{_XMP}}}CreatorTool").text = f"clipgen {__version__}"
    if source:
        ElementTree.SubElement(about, f"{{{_IPTC}}}DigitalSourceType").text = source
    if recipe is not None:
        ElementTree.SubElement(about, f"{{{_OWN}}}recipe").text = recipe
    return f"{_BEGIN}{ElementTree.tostring(root, encoding='unicode')}{_END}".encode()


def comment(source: str) -> str:
    """Return what a DigitalSourceType says as a line of text, for films whose format has no place for XMP."""
    return f"Made with clipgen {__version__}. Digital source type: {source}"


def parsed(data: bytes) -> Packet:
    """Return what a foreign packet says; raises UsageError if it is too long, no XML, or declares entities."""
    if len(data) > MAX_PACKET:
        raise UsageError(f"its XMP packet is longer than {MAX_PACKET:,} bytes")
    found: dict[str, str] = {}
    inside: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        inside.append(name)
        found.update({key: value for key, value in attributes.items() if key in (_SOURCE, _RECIPE)})
        found.update({name: ""} if name in (_SOURCE, _RECIPE) else {})

    def text(part: str) -> None:
        if inside and inside[-1] in (_SOURCE, _RECIPE):
            found[inside[-1]] += part

    def refuse(*_: object) -> None:
        raise UsageError("its XMP packet declares a document type, which none needs")

    parser = expat.ParserCreate(namespace_separator="")
    parser.StartElementHandler, parser.EndElementHandler = start, lambda _name: inside.pop()
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, refuse
    parser.buffer_text = True
    try:
        parser.Parse(data.strip(b"\0 \n"), True)
    except (expat.ExpatError, ValueError) as error:
        raise UsageError(f"its XMP packet is no XML ({error})") from error
    return Packet(found.get(_SOURCE, "").strip(), found.get(_RECIPE))
