"""Sequence Tutor, reproduced: an RNN learned from data is tuned by KL-control and stays near it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent  # the repository: paths in settings are relative to it
PRESETS = ("smoke", "laptop", "paper")
OWN_RESULTS = "results/own"  # where results with changed settings go, so that the reference results stay
