"""CartPole and Pendulum in JAX, equal to Gymnasium's host environments transition by transition.

Dynamics and constants are those of Gymnasium's `CartPole-v1` and `Pendulum-v1` (Barto, Sutton &
Anderson 1983 for the cart pole). States are float32 arrays; time limits are the `DeviceEnv`'s.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from surefoot.envs.device.device_env import DeviceEnv


class CartPole:
    """State and observation [x, ẋ, θ, θ̇] in m, m/s, rad, rad/s; action 0 pushes left, 1 right.
    Reward 1 a step; ends when |x| > 2.4 m or |θ| > 12°."""

    gravity = 9.8
    cart_mass = 1.0
    pole_mass = 0.1
    half_length = 0.5
    force = 10.0
    dt = 0.02
    x_limit = 2.4
    angle_limit = 12 * 2 * math.pi / 360

    def __init__(self) -> None:
        high = np.array([2 * self.x_limit, np.inf, 2 * self.angle_limit, np.inf], np.float32)
        self.observation_space: spaces.Space = spaces.Box(-high, high, dtype=np.float32)
        self.action_space: spaces.Space = spaces.Discrete(2)

    def initial(self, rng: PRNGKeyArray) -> Float[Array, "4"]:
        return jax.random.uniform(rng, (4,), minval=-0.05, maxval=0.05)

    def transition(
        self, state: Float[Array, "4"], action: Int[Array, ""], rng: PRNGKeyArray
    ) -> Float[Array, "4"]:
        x, x_dot, angle, angle_dot = state
        force = jnp.where(action == 1, self.force, -self.force)
        total_mass = self.cart_mass + self.pole_mass
        pole = self.pole_mass * self.half_length
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        pushed = (force + pole * angle_dot**2 * sin) / total_mass
        angle_acc = (self.gravity * sin - cos * pushed) / (
            self.half_length * (4.0 / 3.0 - self.pole_mass * cos**2 / total_mass)
        )
        x_acc = pushed - pole * angle_acc * cos / total_mass
        return jnp.stack(
            [
                x + self.dt * x_dot,
                x_dot + self.dt * x_acc,
                angle + self.dt * angle_dot,
                angle_dot + self.dt * angle_acc,
            ]
        )

    def observation(self, state: Float[Array, "4"], rng: PRNGKeyArray) -> Float[Array, "4"]:
        return state

    def reward(
        self,
        state: Float[Array, "4"],
        action: Int[Array, ""],
        next_state: Float[Array, "4"],
        rng: PRNGKeyArray,
    ) -> Float[Array, ""]:
        return jnp.ones(())

    def terminal(self, state: Float[Array, "4"], rng: PRNGKeyArray) -> Bool[Array, ""]:
        return (jnp.abs(state[0]) > self.x_limit) | (jnp.abs(state[2]) > self.angle_limit)


class Pendulum:
    """State [θ, θ̇], observation [cos θ, sin θ, θ̇] (rad, rad/s), action a torque in [−2, 2] N m.
    Reward −(θ² + 0.1 θ̇² + 0.001 u²) with θ in [−π, π); never ends."""

    max_speed = 8.0
    max_torque = 2.0
    gravity = 10.0
    mass = 1.0
    length = 1.0
    dt = 0.05

    def __init__(self) -> None:
        high = np.array([1.0, 1.0, self.max_speed], np.float32)
        self.observation_space: spaces.Space = spaces.Box(-high, high, dtype=np.float32)
        torque = np.array([self.max_torque], np.float32)
        self.action_space: spaces.Space = spaces.Box(-torque, torque, dtype=np.float32)

    def initial(self, rng: PRNGKeyArray) -> Float[Array, "2"]:
        high = jnp.array([jnp.pi, 1.0])
        return jax.random.uniform(rng, (2,), minval=-high, maxval=high)

    def _torque(self, action: Float[Array, "1"]) -> Float[Array, ""]:
        return jnp.clip(action[0], -self.max_torque, self.max_torque)

    def transition(
        self, state: Float[Array, "2"], action: Float[Array, "1"], rng: PRNGKeyArray
    ) -> Float[Array, "2"]:
        angle, speed = state
        pull = 3 * self.gravity / (2 * self.length) * jnp.sin(angle)
        push = 3.0 / (self.mass * self.length**2) * self._torque(action)
        speed = jnp.clip(speed + (pull + push) * self.dt, -self.max_speed, self.max_speed)
        return jnp.stack([angle + speed * self.dt, speed])

    def observation(self, state: Float[Array, "2"], rng: PRNGKeyArray) -> Float[Array, "3"]:
        angle, speed = state
        return jnp.stack([jnp.cos(angle), jnp.sin(angle), speed])

    def reward(
        self,
        state: Float[Array, "2"],
        action: Float[Array, "1"],
        next_state: Float[Array, "2"],
        rng: PRNGKeyArray,
    ) -> Float[Array, ""]:
        angle, speed = state
        angle = jnp.mod(angle + jnp.pi, 2 * jnp.pi) - jnp.pi
        return -(angle**2 + 0.1 * speed**2 + 0.001 * self._torque(action) ** 2)

    def terminal(self, state: Float[Array, "2"], rng: PRNGKeyArray) -> Bool[Array, ""]:
        return jnp.zeros((), bool)


#: Gymnasium ids that have a device environment here, with the time limit Gymnasium registers.
DEVICE_ENVS: dict[str, DeviceEnv] = {
    "CartPole-v1": DeviceEnv(CartPole(), time_limit=500, name="CartPole-v1"),
    "Pendulum-v1": DeviceEnv(Pendulum(), time_limit=200, name="Pendulum-v1"),
}
