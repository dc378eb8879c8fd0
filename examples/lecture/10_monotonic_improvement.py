"""Improvement that is certain, and improvement that is fast.

π_{k+1} = argmax L − C √(E KL) never lowers J, nor does conservative policy iteration: both follow
a bound. TRPO replaces the penalty by a constraint KL ≤ δ, which no longer follows from it, and
gets somewhere. FrozenLake, exactly, from random policies; `least change` is that of J in any
iteration, negative where J fell.
"""

import numpy as np
import page

from surefoot import theory

UPDATES = {
    "penalty L − C √KL": theory.Penalized(),
    "constraint KL ≤ 0.01": theory.TRPO(max_kl=0.01),
    "CPI": theory.ConservativeIteration(),
    "gradient, α = 1": theory.PolicyGradient(learning_rate=1.0),
}


def main(out="10_monotonic_improvement.svg", iterations=200, starts=5):
    figure, *axes = page.figure(2, xlabel="iteration", ylabel="J / best J", ylim=(0, 1.05))
    rows = []
    for axis, discount in zip(axes, (0.5, 0.95), strict=True):
        lake = theory.from_gymnasium("FrozenLake-v1", discount=discount)
        rng = np.random.default_rng(0)
        start = rng.dirichlet(np.ones(lake.actions), size=(starts, lake.states))
        best = lake.optimal().J
        for name, update in UPDATES.items():
            found = list(theory.improve(lake, start, update, iterations=iterations))
            J = np.array([lake.evaluate(start).J, *(row.J for row in found)]) / best
            mean = J.mean(axis=1)
            rows.append(
                (discount, name, mean[0], mean[10], mean[-1], np.diff(J, axis=0).min() * best)
            )
            axis.plot(mean, label=name)
        axis.set(title=f"γ = {discount:g}")
    names = "γ", "update", "J/J* at first", "after 10", f"after {iterations}", "least change"
    page.table(names, rows)
    page.save(figure, out)
    return rows


if __name__ == "__main__":
    page.run(main)
