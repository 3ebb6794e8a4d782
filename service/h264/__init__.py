"""Headers of H.264, and where decoding can begin."""
