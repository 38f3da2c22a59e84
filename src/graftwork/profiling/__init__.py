"""What a network costs before it is run, and while it runs."""

# Raise them when the same network begins to get other figures: stored profiles start anew.
COUNTING = 1  # parameters, operations, memory, receptive field
MEASURING = 1  # latency, throughput, energy
