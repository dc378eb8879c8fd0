"""Clipping is pessimistic.

min(r Â, clip(r, 1 − ε, 1 + ε) Â) along θ_k + α(θ_{k+1} − θ_k), for one update of PPO-Clip on
CartPole: it never promises more than the surrogate r Â, and it stops promising more where the
update stopped, while the surrogate rises on (Figure 2 of Schulman et al. 2017).
"""

import page

from surefoot.theory.interpolation import interpolate
from surefoot.theory.update_figure import draw_interpolation


def main(out="12_clipping.svg", steps=8_192, clip=0.2):
    options = {"learning_rate": 1e-3, "clip": clip}
    update = page.last_update("ppo_clip", "CartPole-v1", steps=steps, **options)
    curves = interpolate(update.old, update.new, update.batch, discount=0.99, clip=clip)
    fields = curves.alpha, curves.surrogate, curves.clipped, curves.clip_fraction, curves.kl
    rows = [tuple(map(float, row)) for row in zip(*fields, strict=True)][::5]
    page.table(("α", "surrogate", "clipped", "clip fraction", "KL"), rows)
    best = curves.alpha[curves.clipped.argmax()], curves.alpha[curves.surrogate.argmax()]
    print(f"the clipped curve is highest at α = {best[0]:.2f}, the surrogate at {best[1]:.2f}")
    page.save(draw_interpolation(curves, title="one update of PPO-Clip on CartPole"), out)
    return curves


if __name__ == "__main__":
    page.run(main)
