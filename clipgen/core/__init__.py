"""The idea: decode a latent, take cutouts, embed them with CLIP, compare with the prompt, follow the gradient."""
