"""Near γ = 1 the theory's steps shrink to nothing.

C = √2 γε/(1−γ)²: what it allows is a step of KL(old‖new) of the order of (1−γ)². A random MDP, the
first step from the uniform policy: the penalized one, the mixture α of conservative policy
iteration, and the step that a fixed ε = max |A| leaves, which is none from γ = ½ on.
"""

import numpy as np
import page

from surefoot import theory


def main(out="17_theory_constant.svg"):
    rows = []
    for discount in (0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99, 0.999):
        mdp = theory.garnet(seed=0, states=20, actions=4, branching=3, discount=discount)
        uniform = np.full((mdp.states, mdp.actions), 1 / mdp.actions)
        steps = [
            next(theory.improve(mdp, uniform, update, iterations=1))
            for update in (
                theory.Penalized(),
                theory.FixedPenalized(),
                theory.ConservativeIteration(),
            )
        ]
        constant = np.sqrt(2) * discount / (1 - discount) ** 2
        kls = [float(step.kl) for step in steps]
        rows.append((discount, constant, kls[0], kls[1], float(steps[2].step), kls[2]))
    names = "γ", "C/ε", "KL, penalized", "KL, ε fixed", "α of CPI", "KL, CPI"
    page.table(names, rows)
    gamma, _, penalized, _, _, mixed = np.array(rows).T
    figure, axis = page.figure(xlabel="1 − γ", ylabel="KL of the first step, nats")
    axis.loglog(1 - gamma, penalized, "o-", label="L − C √KL")
    axis.loglog(1 - gamma, mixed, "s-", label="CPI")
    axis.axhline(0.01, color="black", linestyle=":", label="δ = 0.01 of practice")
    axis.invert_xaxis()
    page.save(figure, out)
    return rows


if __name__ == "__main__":
    page.run(main)
