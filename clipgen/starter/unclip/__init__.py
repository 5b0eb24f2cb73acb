"""The starter set's small unCLIP: a diffusion prior, a decoder and an upsampler that propose where a run begins."""
