"""What open_clip calls the weights of the catalogue's records."""

from clipgen.weights.records import Record


def tag_of(record: Record) -> str:
    """The tag of a CLIP that open_clip's authors list, which is in its record's name; Meta's encoders have only one."""
    model = record.config["model"]
    if record.network.startswith("clip/openai-"):
        return "openai"
    return record.network.removeprefix(f"clip/{model.lower()}").removeprefix("-") or "meta"
