"""Sequence Tutor, reproduced: KL-control fine-tuning of sequence RNNs (Jaques et al., ICML 2017)."""
