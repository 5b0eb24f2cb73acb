"""The idea: decode a latent, cut out views, embed them with CLIP, compare with the prompt, follow the gradient."""
