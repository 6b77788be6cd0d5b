"""Which runs there are: the stages that all share, and the experiments of the paper and ours by name."""
