"""What other programs call the options that clipgen has, or has not."""

ADVICE: dict[str, str] = {
    "-p -t --prompt --prompts --text --caption": 'the prompt needs no flag, as in clipgen "a cat"',
    "-n --n --num --number --count --num-images --n-images --images --samples --n-samples --batch-size --repeat": (
        "--candidates 4 --keep 4 makes four pictures of one prompt, clipgen batch FILE one of each line"
    ),
    "-W -H --width --height --w --h --resolution --res --dimensions --aspect --ar": (
        "use --size WIDTHxHEIGHT, as in --size 384x256"
    ),
    "-f --file --filename --output --output-dir --output-file --outdir --outfile --out-dir --save --save-path --dest": (
        "use -o FILE.png or -o FOLDER"
    ),
    "-i -ii --init-image --initial-image --image --img --img2img --input --start-image --photo --picture": (
        "use --init FILE"
    ),
    "--iterations --iters --iter --num-steps --num-iterations --epochs": "use --steps NUMBER",
    "--strength --image-strength --init-strength --init-image-weight": "use --init-weight NUMBER, with --init FILE",
    "--negative --negative-prompt --neg --no": 'a negative weight pushes away, as in "a cat|fog:-0.5"',
    "-m --model --models --checkpoint --ckpt": "use --preset NAME, or --clip, --vqgan, --dvae, --titok for one model",
    "--gpu --cuda --gpus": "use --device cuda",
    "--cpu": "use --device cpu",
    "-opt --optimiser --opt": "use --optimizer NAME",
    "-cutm --cut-method --cutout-method -aug --augments": "use --recipe NAME, which has the cutouts of another program",
    "--learning-rate --rate --step-size": "use --lr NUMBER",
    "--cuts --cutn --num-cutouts --num-cuts": "use --cutouts NUMBER",
    "-v --verbose": "progress is shown anyway, and --debug shows the traceback of an error",
    "-V": "use --version",
    "--film --movie --animate --animation": "use --video, --mp4, --webm, --gif or --apng",
    "--framerate --frame-rate --video-fps --output-fps": "use --fps NUMBER, with --mp4 or another film",
    "--film-seconds --video-length --video-seconds --duration --length": (
        "use --film-length SECONDS, with --mp4 or another film"
    ),
    "--save-steps --save-frames --save-interval --save-freq --display-freq --steps-dir": "use --save-every-step NUMBER",
    "--png --jpg --jpeg --webp --format": "the name says it: -o FILE.png, FILE.jpg or FILE.webp",
    "--silent": "use --quiet",
    "--style --artist": 'name the style in the prompt, as in "a city in the style of Van Gogh"',
    "--guidance --cfg --cfg-scale --scale": 'weights are in the prompt, as in "a flower:2|fog:-0.5"',
    "--palette --colors --colours": "use --loss palette:10:navy,gold or --loss palette:10:@FILE",
    "--symmetry --saturation --smoothness --edges --tv --tv-weight --tv-loss --custom-loss": (
        "use --loss NAME[:WEIGHT]; clipgen losses lists them"
    ),
    "--seamless --tiling --tileable": "use --tile",
    "--story --scenes --change-prompt-every": 'scenes follow each other as in "a city ^ a forest ^ the sea"',
    "--noise-init --noise": "use --start perlin, gradient or snow, or --init-noise NUMBER with --init",
    "-ip --image-prompts --reference --ref --like": "use --image-prompt FILE[:WEIGHT], or --target-image for the whole",
    "-nps --noise-prompts --noise-prompt-seeds": "use --noise-prompt SEED[:WEIGHT]",
    "--inpaint --inpainting --init-mask --mask-image": "use --mask FILE or --mask left, with --init FILE",
    "--outpaint --outpainting --expand": "use --extend LEFT,TOP,RIGHT,BOTTOM, with --init FILE",
    "--variations --variation --vary": "use --variations-of FILE",
    "--interpolate --interpolation --morph": 'use clipgen morph "a cat" "a house", or --mix for one picture',
    "--zoom --pan --rotate --zoom-video -zvid": 'clipgen zoom "a castle" makes a film of a moving camera',
    "-vsd --video-style-dir --style-video": "use clipgen restyle in.mp4",
    "-y --yes --force --overwrite": "nothing is ever overwritten, so there is nothing to confirm",
    "--hires --super-resolution --esrgan": "use --upscale 4, or --size WIDTHxHEIGHT for a larger picture",
}
"""Their names, and what to write here instead."""


def advice(flag: str) -> str | None:
    """Return what to write instead of an option that clipgen has not."""
    name = flag.partition("=")[0].replace("_", "-")
    return next((said for names, said in ADVICE.items() if name in names.split()), None)
