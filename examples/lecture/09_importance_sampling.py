"""One ratio or a product of them.

To say from π's episodes what π′ would earn, a trajectory is weighted by Π_{t′≤t} π′/π, whose
variance grows with every factor. The surrogate weights one step by π′/π, at π's own states: biased
to second order, and its variance does not grow with the horizon. CartPole, two policies of one
TRPO run.
"""

import page

import surefoot as sf
from surefoot.theory import estimate


def main(out="09_importance_sampling.svg", episodes=2000, horizon=200, apart=1):
    def trained(iterations):
        options = {"num_envs": 8, "horizon": 256, "backend": "device"}
        return sf.train("trpo", "CartPole-v1", steps=2048 * iterations, **options)

    old, new = trained(20), trained(20 + apart)
    played = estimate.play(old, episodes=episodes, horizon=horizon)
    kl = estimate.mean_kl(played, new)
    found = estimate.weight_variance(played, new)
    at = [t for t in (1, 5, 10, 20, 50, 100, 200) if t <= len(found.one_step)]
    fields = found.one_step, found.one_step_error, found.trajectory, found.trajectory_error
    rows = [(t, *(float(x[t - 1]) for x in fields)) for t in at]
    print(f"KL(old‖new) {kl.value:.4f} ± {kl.standard_error:.4f} nats, {apart} update(s) apart")
    page.table(("steps", "Var, one step", "±", "Var, trajectory", "±"), rows)
    figure, axis = page.figure(xlabel="steps", title="variance of the weight")
    axis.semilogy(found.one_step, label="π′/π")
    axis.semilogy(found.trajectory, label="Π π′/π")
    page.save(figure, out)
    return rows


if __name__ == "__main__":
    page.run(main)
