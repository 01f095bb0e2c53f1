"""A simulated machine on which controllers of the number of workers are judged; it knows nobody's rules."""
