"""Melodies as a domain: what the models and trainers see of music."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from repro.domain import Domain, digest, must
from repro.music import events, measures
from repro.music.rules import RULES, step_rewards, total_reward

Rule = Callable[[np.ndarray], np.ndarray]


class Music(Domain):
    """Melodies of 32 events under the nine rules, or under those that you name or write."""

    name = "music"
    vocabulary = tuple(events.name(event) for event in range(events.NUM_EVENTS))
    horizon = events.HORIZON

    def first_inputs(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """One uniformly random event per melody, as the paper; the authors' code never draws the highest."""
        return generator.integers(events.NUM_EVENTS, size=count)

    def __init__(self, rules: Sequence[str | Rule] | None = None) -> None:
        """`rules`: names of `RULES`, and functions of melodies (B, T) that pay each event, (B, T); none: all nine."""
        must(rules is None or isinstance(rules, (list, tuple)), f"the rules are {rules!r}: give a list of them")
        for rule in rules or ():
            known = callable(rule) or rule in [*RULES]
            must(known, f"the rule is {rule!r}: it must be a function, or one of {', '.join(RULES)}")
        self.rules = tuple(rules or ())

    def step_rewards(self, sequences: np.ndarray) -> np.ndarray:
        """r_MT of every note, (B, 32)."""
        return np.sum([*self.reward_parts(sequences).values()], axis=0) if self.rules else total_reward(sequences)

    def reward_parts(self, sequences: np.ndarray) -> dict[str, np.ndarray]:
        """r_MT rule by rule."""
        nine = step_rewards(sequences)
        own = {f"{getattr(rule, '__name__', 'rule')} ({place})": rule  # two may have one name, as lambdas do
               for place, rule in enumerate(self.rules) if callable(rule)}  # fmt: skip
        chosen = [rule for rule in self.rules if not callable(rule)] if self.rules else list(nine)
        paid = {name: np.asarray(rule(sequences.copy())) for name, rule in own.items()}
        for name, part in paid.items():
            fits = part.shape == sequences.shape
            must(fits, f"the rule {name} pays {part.shape}: give one number per event, {sequences.shape}")
        return {name: nine[name] for name in chosen} | paid

    def spec(self) -> dict[str, object]:
        """What of the domain determines a run; a rule of yours by its source."""
        named = [digest(rule) if callable(rule) else rule for rule in self.rules]
        return super().spec() | ({"rules": None if None in named else named} if named else {})

    def watch(self, sequences: np.ndarray) -> dict[str, float]:
        """The share of different melodies."""
        return {"unique": measures.distinct_share(sequences)}

    def measures(self, sequences: np.ndarray) -> pd.Series:
        """The rows of Table 1, then how varied the melodies are."""
        table, distance = measures.rule_counts(sequences), measures.mean_edit_distance(sequences)
        return pd.concat([table, pd.Series({"unique": measures.distinct_share(sequences), "edit_distance": distance})])
