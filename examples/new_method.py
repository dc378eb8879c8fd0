"""A method that exists nowhere else: several K-FAC steps a batch up PPO's clipped objective, each
searched back until the policy is within a KL of `max_kl` of the one that collected the batch."""

import dataclasses

import surefoot as sf
from surefoot.methods.families.actor_critic import ActorCritic


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClippedKFAC(ActorCritic):
    max_kl: float = 0.02
    clip: float = 0.2
    epochs: int = 2

    def build(self):
        step = sf.Step(
            sf.Clipped(self.clip),
            sf.KFAC(damping=0.1),
            sf.Backtrack(sf.KLBall(self.max_kl / 4), max_kl=self.max_kl),
        )
        return self.algorithm(sf.Epochs(step, epochs=self.epochs, minibatch_size=1024))


if __name__ == "__main__":
    agent = sf.train(ClippedKFAC(), "CartPole-v1", backend="device", steps=100_000)
    print(f"mean return of 20 episodes: {agent.evaluate(20).mean:.1f}")
