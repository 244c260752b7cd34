"""4x upscalers: from the quantised latent, or from pixels, to the large picture."""
