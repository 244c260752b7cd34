"""4x decoders: from the quantised latent to the large picture."""
