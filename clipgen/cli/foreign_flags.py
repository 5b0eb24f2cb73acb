"""What other programs call the options that clipgen has, or has not."""

ADVICE: dict[str, str] = {
    "-p -t --prompt --prompts --text --caption": 'the prompt needs no flag, as in clipgen "a cat"',
    "-n --n --num --number --count --num-images --n-images --images --samples --n-samples --batch-size --repeat": (
        "--candidates 4 --keep 4 makes four pictures of one prompt, clipgen batch FILE one of each line"
    ),
    "-W -H -s -asp -ezs -sca --width --height --w --h --resolution --res --dimensions --aspect --ar --ezsize": (
        "use --size WIDTHxHEIGHT, as in --size 384x256"
    ),
    "-f --file --filename --output --output-dir --output-file --outdir --outfile --out-dir --save --save-path --dest": (
        "use -o FILE.png or -o FOLDER"
    ),
    "-i": "use --steps NUMBER, or --init FILE to start from a picture",
    "-ii --init-image --initial-image --image --img --img2img --input --start-image --photo --picture": (
        "use --init FILE"
    ),
    "--iterations --iters --iter --num-steps --num-iterations --epochs": "use --steps NUMBER",
    "-iw --strength --image-strength --init-strength --init-image-weight": "use --init-weight NUMBER, with --init FILE",
    "-iwd -iwc -iwp --init-weight-dist --init-weight-cos --init-weight-pix": (
        "use --loss init, init-pixels or init-embedding, with --init FILE"
    ),
    "-sd": "use --seed NUMBER",
    "--negative --negative-prompt --neg --no": 'a negative weight pushes away, as in "a cat|fog:-0.5"',
    "-m --model --models --checkpoint --ckpt": "use --preset NAME, or --clip, --vqgan, --dvae, --titok for one model",
    "--clip-model --clip-models --perceptors": "use --clip NAME, once for each",
    "-ckpt --vqgan-checkpoint --vqgan-model": "use --vqgan NAME, or --vqgan FILE",
    "-conf": "use --vqgan-config FILE.yaml, with --vqgan FILE",
    "--drawer --image-model --generator": "use --backend NAME",
    "-cd -cud --cuda-device --gpu --cuda --gpus": "use --device cuda",
    "-d --deterministic": "the same --seed gives the same picture anyway",
    "--cpu": "use --device cpu",
    "-opt --optimiser --opt": "use --optimizer NAME",
    "-cutm -cutp -aug --cut-method --cutout-method --cut-power --cut-pow --augments": (
        "use --recipe NAME, which has the cutouts of another program"
    ),
    "-lr --learning-rate --rate --step-size": "use --lr NUMBER",
    "-lrd --learning-rate-drops": "use --lr with keyframes, as in --lr 0.2@0,0.02@75%",
    "-cuts --cuts --cutn --num-cutouts --num-cuts": "use --cutouts NUMBER",
    "-v --verbose": "progress is shown anyway, and --debug shows the traceback of an error",
    "-V": "use --version",
    "-vid --film --movie --animate --animation": "use --video, --mp4, --webm, --gif or --apng",
    "-ofps -ifps --framerate --frame-rate --input-video-fps --output-video-fps --video-fps --output-fps": (
        "use --fps NUMBER, with --mp4 or another film"
    ),
    "-vl --film-seconds --video-length --video-seconds --duration --length": (
        "use --film-length SECONDS, with --mp4 or another film"
    ),
    "-se --save_every --save-steps --save-frames --save-interval --save-freq --display-freq --steps-dir": (
        "use --save-every-step NUMBER"
    ),
    "--png --jpg --jpeg --webp": "the name says it: -o FILE.png, FILE.jpg or FILE.webp; in a folder --format does",
    "--silent": "use --quiet",
    "--style --artist": 'name the style in the prompt, as in "a city in the style of Van Gogh"',
    "--guidance --cfg --cfg-scale --scale": 'weights are in the prompt, as in "a flower:2|fog:-0.5"',
    "--palette --colors --colours": "use --loss palette:10:navy,gold or --loss palette:10:@FILE",
    "--symmetry --saturation --smoothness --edges --tv --tv-weight --tv-loss --custom-loss --losses": (
        "use --loss NAME[:WEIGHT]; clipgen losses lists them"
    ),
    "--seamless --tiling --tileable --filters": "use --tile",
    "-cpe --story --scenes --change-prompt-every": (
        'scenes follow each other as in "a city ^ a forest ^ the sea", or begin at a moment by --at'
    ),
    "-in --init_noise --noise-init --noise": "use --start perlin, gradient or snow, or --init-noise NUMBER with --init",
    "-ip -ipw --image-prompts --image-prompt-weight --reference --ref --like": (
        "use --image-prompt FILE[:WEIGHT], or --target-image for the whole"
    ),
    "-nps -npw --noise-prompts --noise-prompt-seeds --noise-prompt-weights": "use --noise-prompt SEED[:WEIGHT]",
    "--inpaint --inpainting --init-mask --mask-image": "use --mask FILE or --mask left, with --init FILE",
    "--outpaint --outpainting --expand": "use --extend LEFT,TOP,RIGHT,BOTTOM, with --init FILE",
    "--variations --variation --vary": "use --variations-of FILE",
    "--interpolate --interpolation --morph": 'use clipgen morph "a cat" "a house", or --mix for one picture',
    "-ti -il --target-images --image-labels": "use --target-image FILE[:WEIGHT[:STOP]], once for each",
    "-l --labels": "use --templates, with labels in the prompt",
    "-vp --vector-prompts": "use --embedding FILE[:WEIGHT[:STOP]]",
    "-sp -spo -spf --spot --spot-off --spot-file": 'use --region left:"a tree", or --region FILE:TEXT',
    "-ovi --overlay-image": "use --overlay FILE",
    "-ove": "use --overlay-every NUMBER",
    "--zoom --pan --rotate --zoom-video -zvid -zs --zoom-start": (
        'clipgen zoom "a castle" makes a film of a moving camera'
    ),
    "-zse --zoom-save-every --zoom-frequency": "use clipgen zoom, with --move-every NUMBER",
    "-zsc --zoom-scale": "use clipgen zoom, with --zoom NUMBER",
    "-zsx -zsy --zoom-shift-x --zoom-shift-y": "use clipgen zoom, with --pan X,Y",
    "-vsd -anim --video-style-dir --style-video --animation-dir": "use clipgen restyle in.mp4",
    "-ana --animation-alpha": "use clipgen restyle in.mp4, with --blend NUMBER",
    "-bats --batches --gradient-accumulation-steps": "cutouts are processed in parts by themselves if memory is short",
    "-y --yes --force --overwrite": "nothing is ever overwritten, so there is nothing to confirm",
    "--hires --super-resolution --esrgan": "use --upscale 4, or --size WIDTHxHEIGHT for a larger picture",
}
"""Their names, and what to write here instead. One with "_" would be an option here with "-", of another meaning."""


def advice(flag: str) -> str | None:
    """Return what to write instead of an option that clipgen has not."""
    name = flag.partition("=")[0]
    spellings = {name, name.replace("_", "-")}
    return next((said for names, said in ADVICE.items() if not spellings.isdisjoint(names.split())), None)
