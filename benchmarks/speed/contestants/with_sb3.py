"""Stable-Baselines3's PPO and SB3-contrib's TRPO: `learn`, with a callback that does nothing but
tick. Observations and rewards are not normalized; out-of-bounds actions are clipped."""

import contextlib

import torch
from clock import Done, clock_of, parser, report
from sb3_contrib import TRPO
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

METHODS = {"trpo": TRPO, "ppo_clip": PPO}
VECTORIZATIONS = {"dummy": DummyVecEnv, "subproc": SubprocVecEnv}
SETTINGS = {
    "trpo": {
        "gamma": 0.99,
        "gae_lambda": 0.95,
        "target_kl": 0.01,
        "cg_max_steps": 10,
        "cg_damping": 0.1,
        "line_search_max_iter": 10,
        "line_search_shrinking_factor": 0.8,
        "learning_rate": 1e-3,  # Of the critic.
        "n_critic_updates": 20,  # Passes over the batch.
        "batch_size": 128,  # Rows of a critic step.
    },
    "ppo_clip": {
        "gamma": 0.99,
        "gae_lambda": 0.95,
        "clip_range": 0.2,
        "learning_rate": lambda remaining: 3e-4 * remaining,
        "n_epochs": 10,
        "batch_size": 64,
        "ent_coef": 0.0,
        "max_grad_norm": 0.5,
    },
}
NETWORKS = {"net_arch": {"pi": [64, 64], "vf": [64, 64]}, "activation_fn": torch.nn.Tanh}
STEPS = 2048 * 16 * 300


class Watch(BaseCallback):
    """Ticks where the next iteration begins."""

    def _on_step(self):
        return True

    def _on_rollout_start(self):
        if self.num_timesteps > 0:
            clock.tick(self.num_timesteps)


if __name__ == "__main__":  # Worker processes import this file again.
    args = parser(
        algorithm="trpo", env="HalfCheetah-v5", vec="dummy", num_envs=8, horizon=256, threads=1
    ).parse_args()
    torch.set_num_threads(args.threads)
    clock = clock_of(args)
    envs = make_vec_env(
        args.env,
        args.num_envs,
        seed=0,
        vec_env_cls=VECTORIZATIONS[args.vec],
        # No checks in every step, as in Gymnasium's own vector environments.
        env_kwargs={"render_mode": None, "disable_env_checker": True},
    )
    gaussian = hasattr(envs.action_space, "low")
    model = METHODS[args.algorithm](
        "MlpPolicy",
        envs,
        n_steps=args.horizon,
        policy_kwargs={**NETWORKS, **({"log_std_init": -0.5} if gaussian else {})},
        seed=0,
        device="cpu",
        **SETTINGS[args.algorithm],
    )
    with contextlib.suppress(Done):
        model.learn(STEPS, callback=Watch())
    envs.close()
    report(clock, ["stable-baselines3", "sb3-contrib", "torch", "numpy", "gymnasium", "mujoco"])
