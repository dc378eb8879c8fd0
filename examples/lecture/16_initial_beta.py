"""PPO-KL's first β hardly matters.

The same run with β at the start from 0.01 to 100: within a few batches doubling and halving has
brought it where the KL is about the target. CartPole.
"""

import numpy as np
import page


def main(out="16_initial_beta.svg", steps=100_000, seeds=3, target=0.01):
    figure, beta, learning = page.figure(2, xlabel="iteration")
    rows = []
    for first in (0.01, 0.1, 1.0, 10.0, 100.0):
        options = {"steps": steps, "seeds": seeds, "target_kl": target}
        runs = page.trained("ppo_kl", "CartPole-v1", beta=first, **options)
        penalty, kl = page.column(runs, "kl_penalty"), page.column(runs, "kl_mean")
        curve = page.returns(runs)
        quarter = kl.shape[1] // 4
        above = np.mean(kl[:, :quarter] > 1.5 * target), np.mean(kl[:, quarter:] > 1.5 * target)
        last = np.median(curve[:, -5:])
        rows.append((first, np.median(penalty[:, quarter]), *above, np.median(curve), last))
        beta.semilogy(np.median(penalty, axis=0), label=f"β₀ = {first:g}")
        learning.plot(np.median(curve, axis=0), label=f"β₀ = {first:g}")
    share = "KL > 1.5 target: first ¼", "later"
    page.table(("β₀", "β after ¼ of the run", *share, "median return", "last return"), rows)
    beta.set(title="β, median of seeds")
    learning.set(title="return, median of seeds")
    page.save(figure, out)
    return rows


if __name__ == "__main__":
    page.run(main)
