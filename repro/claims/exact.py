"""The claims about what is optimised, as data: problems small enough to enumerate say what the optimum is.

The number of a row is KL(pi || p*) in nats, p* = p exp(r/c) / Z, of the learned policy, in the worse of the domains.
"""

from __future__ import annotations

import dataclasses

from repro.claims.verdicts import Claim

NEAR = 0.03  # nats; an untuned prior is three nats away
WORSE = "KL(pi || p*) of the learned policy, nats, the larger of the domains"

EXACT = tuple(
    dataclasses.replace(claim, at_most=NEAR, domain="exact", experiment="exact", notebook="08_exact_optimum")
    for claim in (
        Claim("exact_psi", "Psi-learning's optimum is p exp(r/c) / Z", "method", "P", "an equation",
              WORSE, lambda value: value("psi", "kl"),
          levels=("kl", "{psi}")),
        Claim("exact_g", "G-learning's optimum is p exp(r/c) / Z", "method", "P", "an equation",
              WORSE, lambda value: value("g", "kl"),
          levels=("kl", "{g}")),
        Claim("exact_q", "Q with log p in its reward optimises the same as Psi and G", "text", "P", "an equation",
              WORSE, lambda value: value("q", "kl"),
          levels=("kl", "{q}")),
        Claim("exact_paper_form", "regressing the taken action alone, as the paper does, finds that optimum", "method",
              "P", "an equation", f"{WORSE}, and of Psi and G",
              lambda value: max(value("psi", "kl_paper_form"), value("g", "kl_paper_form")),
          levels=("kl_paper_form", "{psi} / {g}")),
    )
)  # fmt: skip
