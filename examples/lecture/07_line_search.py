"""Why TRPO searches along the natural gradient.

The natural gradient's step √(2δ/dᵀFd) d has the KL δ by the quadratic model alone. What it
measures is often more, and the surrogate may fall. `npg` takes the step as it is; `trpo` shortens
it until neither is so, by exponential decay, a factor 0.8 a try, as in the lecture's box, or by a
secant on √KL, which lands on δ. CartPole, two radii δ.
"""

import numpy as np
import page

SEARCHES = {
    "none": ("npg", {}),
    "decay": ("trpo", {"line_search": "decay"}),
    "secant": ("trpo", {"line_search": "secant"}),
}


def main(out="07_line_search.svg", steps=60_000, seeds=5):
    figure, *axes = page.figure(2, xlabel="iteration", ylabel="KL(old‖new) / δ")
    rows = []
    for axis, delta in zip(axes, (0.01, 0.1), strict=True):
        for color, (search, (method, how)) in enumerate(SEARCHES.items()):
            options = {"num_envs": 8, "horizon": 128, "max_kl": delta, **how}
            runs = page.trained(method, "CartPole-v1", steps=steps, seeds=seeds, **options)
            kl = page.column(runs, "kl_mean") / delta
            gain = page.column(runs, "objective_after") - page.column(runs, "objective_before")
            over, fell = np.mean(kl > 1.001), np.mean(gain < 0)
            last = np.median(page.returns(runs)[:, -5:])
            rows.append((delta, search, np.median(kl), kl.max(), over, fell, last))
            axis.semilogy(np.maximum(kl.T, 1e-2), f"C{color}", lw=0.8)
            axis.semilogy([], [], f"C{color}", label=search)
        axis.axhline(1.0, color="black", linestyle=":")
        axis.set(title=f"δ = {delta:g}")
    names = "δ", "search", "median KL/δ", "largest", "share > δ", "surrogate fell", "last return"
    page.table(names, rows)
    page.save(figure, out)
    return rows


if __name__ == "__main__":
    page.run(main)
