"""No learning at all: the rate at which the same environments step with random actions, drawn
beforehand."""

import numpy as np
from clock import Done, clock_of, parser, report

args = parser(kind="gymnasium", env="HalfCheetah-v5", num_envs=8).parse_args()
clock = clock_of(args)
PER_TURN = 256


def random_actions():
    """Of every step of a turn, uniform between HalfCheetah's bounds."""
    shape = (PER_TURN, args.num_envs, 6)
    return np.random.default_rng(0).uniform(-1.0, 1.0, shape).astype(np.float32)


def gymnasium_turns():
    """Gymnasium's in-process vector environment."""
    import gymnasium

    envs = gymnasium.make_vec(
        args.env,
        args.num_envs,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP},
    )
    envs.reset(seed=0)
    actions = random_actions()
    while True:
        for action in actions:
            envs.step(action)
        yield PER_TURN


def envpool_turns(pools):
    """EnvPool on as many threads as there are cores: one pool that steps as a whole, or two of half
    the size, of which one is asked for a step while the other steps."""
    import envpool

    each = args.num_envs // pools
    made = [
        envpool.make_gymnasium(args.env, num_envs=each, seed=j * each, num_threads=0)
        for j in range(pools)
    ]
    shares = np.split(random_actions(), pools, axis=1)
    for pool, share in zip(made, shares, strict=True):
        pool.reset()
        pool.send(share[0])
    while True:
        for step in range(PER_TURN):
            for pool, share in zip(made, shares, strict=True):
                pool.recv()
                pool.send(share[step])
        yield PER_TURN


def device_turns():
    """surefoot's environments in JAX, compiled: turns of as many steps as sixteen iterations."""
    import jax

    from surefoot.common import jax_setup

    jax_setup.configure_before_compute()
    from surefoot.envs.device.classic import DEVICE_ENVS

    env = DEVICE_ENVS[args.env]

    @jax.jit
    def turn(state, key):
        def one(state, key):
            choose, move = jax.random.split(key)
            action = jax.random.randint(choose, (args.num_envs,), 0, env.action_space.n)
            return env.step(state, action, move)[0], None

        return jax.lax.scan(one, state, jax.random.split(key, 16 * PER_TURN))[0]

    state = env.init(jax.random.key(0), args.num_envs)
    for number in range(10**9):
        state = jax.block_until_ready(turn(state, jax.random.key(number)))
        yield 16 * PER_TURN


KINDS = {
    "gymnasium": gymnasium_turns,
    "envpool": lambda: envpool_turns(1),
    "two-pools": lambda: envpool_turns(2),
    "device": device_turns,
}
steps = 0
try:
    for taken in KINDS[args.kind]():
        steps += taken * args.num_envs
        clock.tick(steps)
except Done:
    report(clock, ["numpy", "gymnasium", "mujoco", "envpool", "jax"])
