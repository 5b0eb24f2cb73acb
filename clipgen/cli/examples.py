"""Examples at the end of the help of each command."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "run": (
        'clipgen "a city in the style of Van Gogh" --seed 3',
        'clipgen "a cat" --init selfie.jpg --video',
        'clipgen "a red flower:2|fog:-0.5" --size 384x256 --steps 200',
        'clipgen "a boat at sunset" --candidates 6 --keep 2',
        "clipgen run job.toml",
    ),
    "zoom": ('clipgen zoom "a tunnel of flowers" --zoom 1.02 --rotate 1', 'clipgen zoom "a castle" --init photo.jpg'),
    "morph": ('clipgen morph "a cat" "a house" --frames 60', 'clipgen morph "day" "night" --seed 3 --webm'),
    "restyle": (
        'clipgen restyle in.mp4 "in the style of Van Gogh"',
        'clipgen restyle in.mp4 "a watercolour" --blend 0.5 --every 2',
    ),
    "batch": (
        "clipgen batch prompts.txt -o pictures",
        "clipgen batch prompts.txt --workers 4",
        "clipgen batch prompts.txt --shard 2/8",
    ),
    "web": ("clipgen web --open", "clipgen web -o pictures --port 8400"),
    "mcp": ("clipgen mcp", "clipgen mcp -o pictures"),
    "resume": ("clipgen resume outputs/a-cat-7.png", "clipgen resume outputs/a-cat-7.png --steps +200"),
    "info": ("clipgen info outputs/a-cat-7.png", "clipgen info outputs/a-cat-7.png --json"),
    "replay": (
        "clipgen replay outputs/a-cat-7.png",
        "clipgen replay outputs/a-cat-7.png --seed 8 --steps 400",
        'clipgen replay outputs/a-cat-7.png --prompt "a dog"',
    ),
    "sheet": ("clipgen sheet outputs", "clipgen sheet outputs --x seed --y steps -o sheet.png"),
    "score": (
        'clipgen score outputs --text "a cat" --text "a dog"',
        "clipgen score outputs --labels labels.txt --csv table.csv",
    ),
    "rank": (
        'clipgen rank "a cat" outputs --keep 10 --copy best',
        'clipgen rank --image photo.jpg "a cat" "a dog"',
    ),
    "reconstruct": ("clipgen reconstruct photo.jpg --all", "clipgen reconstruct photo.jpg --vqgan vqgan.ckpt"),
    "decode": ("clipgen decode tokens.npy --vqgan starter/vqgan -o back.png",),
    "compare": (
        "clipgen compare a.toml b.toml -o comparison",
        "clipgen compare old-pictures new-pictures",
        "clipgen compare votes.json --of comparison/compare.json",
    ),
    "words": ('clipgen words "a zebra, an old barn, watercolour"', "clipgen words --list"),
    "losses": ("clipgen losses", 'clipgen "a lighthouse" --loss palette:10:navy,gold --loss symmetry'),
    "job": ("clipgen job > job.toml", "clipgen run job.toml"),
    "help": ("clipgen help", "clipgen help masks", "clipgen help zoom"),
    "doctor": ("clipgen doctor", "clipgen doctor --json"),
    "eval": ("clipgen eval --n 48", "clipgen eval --classes --n 12", "clipgen eval --prompts prompts.txt"),
    "bench": ("clipgen bench", "clipgen bench --full-size-random --recipe nerdyrodent"),
    "world": ("clipgen world --sheet world.png", "clipgen world --words"),
    "train": (
        "clipgen train vqgan --data pets/ --out my-pets --minutes 60",
        "clipgen train clip --data pets/ --out my-pets --minutes 30",
        'clipgen "a grey cat" --preset ./my-pets',
    ),
    "models": (
        "clipgen models list",
        "clipgen models pull vqgan/imagenet-f16-16384",
        "clipgen models add clip/openai-vit-b-32 ViT-B-32.pt",
        "clipgen models prune --dry-run",
    ),
}
"""By command, as they are typed."""
MORE = "More: clipgen help lists the topics, and clipgen COMMAND --help has the options of a command."


def epilog(command: str, *more: str) -> str:
    """Return the end of the help of a command, in Rich's markup."""
    return "\n\n".join(("\n".join(("[dim]Examples[/dim]", *EXAMPLES[command])), *more))
