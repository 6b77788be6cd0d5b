"""From sentences of the paper to verdicts: what each claims, how it is tested, and how the verdict is written."""
