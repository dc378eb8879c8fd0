"""PPO with a penalty whose weight finds its own size.

After each batch, β doubles where KL(old‖new) ≥ 1.5 target and halves where it is ≤ target/1.5.
What keeps the KL near the target is another β early and late in a run. CartPole and Pendulum.
"""

import numpy as np
import page


def main(out="11_adaptive_penalty.svg", steps=100_000, seeds=3, target=0.01):
    figure, beta, kl = page.figure(2, xlabel="iteration")
    rows = []
    for number, env in enumerate(("CartPole-v1", "Pendulum-v1")):
        runs = page.trained("ppo_kl", env, steps=steps, seeds=seeds, target_kl=target)
        penalty, divergence = page.column(runs, "kl_penalty"), page.column(runs, "kl_mean")
        for part in np.array_split(np.arange(penalty.shape[1]), 4):
            b, d = penalty[:, part], divergence[:, part]
            within = np.mean((d > target / 1.5) & (d < 1.5 * target))
            rows.append((env, int(part[0]), b.min(), np.median(b), b.max(), np.median(d), within))
        color = f"C{number}"
        beta.semilogy(penalty.T, color, lw=1.0)
        kl.semilogy(divergence.T, color, lw=1.0)
        beta.semilogy([], [], color, label=env)
    names = "task", "from iteration", "β least", "median", "most", "median KL", "within 1.5×"
    page.table(names, rows)
    beta.set(title="β")
    kl.set(title="KL(old‖new), nats")
    kl.axhline(target, color="black", linestyle=":")
    page.save(figure, out)
    return rows


if __name__ == "__main__":
    page.run(main)
