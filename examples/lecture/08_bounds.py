"""The identity, the surrogate and the bound, as π′ moves away from π.

J(π′) − J(π) = E_{s~d^π′, a~π′}[A^π]/(1−γ) needs the states of π′. The surrogate L takes those of
π: equal to first order, and off by no more than C √(E KL(π′‖π)), C = √2 γε/(1−γ)². FrozenLake,
from the uniform policy towards the optimal one, exactly.
"""

import numpy as np
import page

from surefoot import theory


def main(out="08_bounds.svg", discount=0.9):
    lake = theory.from_gymnasium("FrozenLake-v1", discount=discount)
    uniform = np.full((lake.states, lake.actions), 1 / lake.actions)
    old, best = lake.evaluate(uniform), lake.optimal().policy
    share = np.array([0.0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 1.0])[:, None, None]
    new = lake.evaluate((1 - share) * uniform + share * best)
    left, right = theory.performance_difference(old, new)
    bound = theory.kl_bound(old, new.policy)
    rows = list(zip(share.ravel(), left, right, bound.surrogate, bound.penalty, strict=True))
    names = "share of π*", "J(π′) − J(π)", "identity", "L", "C √(E KL)"
    page.table(names, rows)
    figure, *axes = page.figure(2, xlabel="share of π* in π′", ylabel="return")
    for axis, title in zip(axes, ("J and L", "the same, and what is certain"), strict=True):
        axis.set(title=title)
        axis.plot(share.ravel(), left, label="J(π′) − J(π)")
        axis.plot(share.ravel(), bound.surrogate, "--", label="L")
    low, high = bound.surrogate - bound.penalty, bound.surrogate + bound.penalty
    axes[1].fill_between(share.ravel(), low, high, color="C0", alpha=0.15, label="L ± C √(E KL)")
    page.save(figure, out)
    return rows


if __name__ == "__main__":
    page.run(main)
