"""KL(old‖new) or KL(new‖old) as the constraint.

max Σ_a π′(a) A(a) in one state, with four actions. KL(old‖new) ≤ δ gives π′ = β π/(ν − A),
KL(new‖old) ≤ δ gives π′ ∝ π exp(A/β). To second order in the step both are ½ΔᵀFΔ, and small steps
agree; long ones do not: the first keeps some probability for every action, the second drops the
worst ones.
"""

import numpy as np
import page

from surefoot import theory

POLICY = np.array([0.4, 0.3, 0.2, 0.1])
BANDIT = theory.TabularMDP(
    P=np.ones((1, 4, 1)), R=[[-1.0, 0.0, 0.5, 1.0]], discount=0.0, initial=[1.0]
)
OLD = BANDIT.evaluate(POLICY[None])


def kl(p, q):
    return float(np.sum(p * np.log(p / q)))


def tilted(delta):
    """π exp(A/β) of KL(new‖old) = δ, 1/β by bisection."""
    low, high = 0.0, 1e3
    for _ in range(100):
        middle = (low + high) / 2
        new = POLICY * np.exp(middle * (OLD.A[0] - OLD.A.max()))
        new = np.maximum(new / new.sum(), 1e-300)
        low, high = (low, middle) if kl(new, POLICY) > delta else (middle, high)
    return new


def main(out="19_kl_direction.svg"):
    rows = []
    for delta in (0.001, 0.01, 0.1, 0.5, 1.0, 2.0):
        forward = theory.TRPO(max_kl=delta)(OLD)[0][0]
        reverse = tilted(delta)
        gains = [float((new - POLICY) @ OLD.A[0]) for new in (forward, reverse)]
        apart = 0.5 * np.abs(forward - reverse).sum()
        rows.append((delta, *gains, forward[0], reverse[0], kl(reverse, POLICY), apart))
    names = "δ", "gain, KL(old‖new)", "KL(new‖old)", "π′(worst)", "the same", "KL", "D_TV"
    page.table(names, rows)
    figure, axis = page.figure(xlabel="δ, nats", ylabel="π′(worst action)")
    delta, _, _, forward, reverse, *_ = zip(*rows, strict=True)
    axis.loglog(delta, forward, "o-", label="KL(old‖new) ≤ δ")
    axis.loglog(delta, np.maximum(reverse, 1e-8), "s-", label="KL(new‖old) ≤ δ")
    page.save(figure, out)
    return rows


if __name__ == "__main__":
    page.run(main)
