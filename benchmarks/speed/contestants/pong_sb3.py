"""Stable-Baselines3's PPO on Pong with the numbers of surefoot's preset, the same two networks, and
the same of Gymnasium's wrappers."""

import contextlib

import ale_py
import gymnasium
import numpy as np
import torch
from clock import Done, clock_of, parser, report
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation, TransformReward
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

VECTORIZATIONS = {"dummy": DummyVecEnv, "subproc": SubprocVecEnv}
STEPS = 10_000_000
NUM_ENVS, HORIZON = 8, 128


def make():
    """Pong, whose lives end nothing: there are none."""
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    gymnasium.register_envs(ale_py)
    game = gymnasium.make(
        "ALE/Pong-v5", frameskip=1, obs_type="grayscale", disable_env_checker=True
    )
    seen = FrameStackObservation(AtariPreprocessing(game), 4)
    return TransformReward(Monitor(seen), np.sign)


class Watch(BaseCallback):
    """Ticks where the next iteration begins."""

    def _on_step(self):
        return True

    def _on_rollout_start(self):
        if self.num_timesteps > 0:
            clock.tick(self.num_timesteps)


if __name__ == "__main__":  # Worker processes import this file again.
    args = parser(vec="dummy", threads=1).parse_args()
    torch.set_num_threads(args.threads)
    clock = clock_of(args)
    envs = VECTORIZATIONS[args.vec]([make] * NUM_ENVS)
    model = PPO(
        "CnnPolicy",
        envs,
        n_steps=HORIZON,
        learning_rate=lambda remaining: 2.5e-4 * remaining,
        n_epochs=4,
        batch_size=256,
        clip_range=0.1,
        ent_coef=0.01,
        max_grad_norm=0.5,
        policy_kwargs={"share_features_extractor": False, "net_arch": []},
        seed=0,
        device="cpu",
    )
    with contextlib.suppress(Done):
        model.learn(STEPS, callback=Watch())
    envs.close()
    report(clock, ["stable-baselines3", "torch", "numpy", "gymnasium", "ale-py"])
