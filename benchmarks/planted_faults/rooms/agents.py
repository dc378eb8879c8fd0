"""Faults of `agents`: playing, recording, filming, exporting."""

from benchmarks.planted_faults.fault import Fault

FAULTS = (
    Fault(
        "short-episodes-favored",
        "agents/playing/episodes.py",
        """while (played < share).any():
        # A vector environment may write its next observations where these lie.
        obs = jax.tree.map(np.copy, obs)
        drawn, memory = actor.act(obs, starts, memory, jax.random.fold_in(root, t))
        action = as_actions(env.action_space, drawn)
        # A copy, since an environment may write to what it is given.
        step = env.step(jax.tree.map(np.copy, action))
        counts = step.valid & (played < share)
""",
        """while played.sum() < episodes:
        # A vector environment may write its next observations where these lie.
        obs = jax.tree.map(np.copy, obs)
        drawn, memory = actor.act(obs, starts, memory, jax.random.fold_in(root, t))
        action = as_actions(env.action_space, drawn)
        step = env.step(jax.tree.map(np.copy, action))
        counts = step.valid
""",
        "An evaluation takes the first episodes that end: short ones count more.",
        ("test_agent.py",),
    ),
    Fault(
        "observations-played-without-a-copy",
        "agents/playing/episodes.py",
        "obs = jax.tree.map(np.copy, obs)",
        "obs = jax.tree.map(np.asarray, obs)",
        "A vector environment that reuses its array changes what is recorded of the step before.",
        ("test_demonstrations.py", "test_agent.py"),
    ),
    Fault(
        "one-noise-for-all-steps",
        "agents/playing/episodes.py",
        "jax.random.fold_in(root, t)",
        "root",
        "A stochastic agent is evaluated with the same noise at every step.",
        ("test_agent.py", "test_demonstrations.py"),
    ),
    Fault(
        "mode-and-sample-swapped",
        "agents/playing/episodes.py",
        "dist.mode() if deterministic else dist.sample(key)",
        "dist.sample(key) if deterministic else dist.mode()",
        "Deterministic agents sample, and stochastic ones do not.",
        ("test_agent.py",),
    ),
    Fault(
        "agents-act-on-raw-observations",
        "agents/playing/episodes.py",
        "policy.step(normalizer(obs), starts, memory)",
        "policy.step(obs, starts, memory)",
        "A trained agent sees observations that it was not trained on.",
        ("test_agent.py",),
    ),
    Fault(
        "normalizer-moves-while-playing",
        "agents/playing/episodes.py",
        "policy.step(normalizer(obs), starts, memory)",
        "policy.step(\n"
        "        normalizer.update(obs[None], jnp.ones((1, len(obs)), bool))(obs), starts, memory\n"
        "    )",
        "The normalizer is not frozen in evaluation: what an agent does depends on its neighbors.",
        ("test_agent.py", "test_evaluation_during.py"),
    ),
    Fault(
        "last-row-of-an-episode-lost",
        "agents/playing/episodes.py",
        "ended_before = ended - done.astype(ended.dtype)",
        "ended_before = ended",
        "On the device the last step of an episode counts in no return and no recording.",
        ("test_agent.py", "test_demonstrations.py"),
    ),
    Fault(
        "evaluated-returns-add-up",
        "agents/playing/evaluation.py",
        "total[i], length[i] = 0.0, 0",
        "length[i] = 0",
        "The return of an environment's second episode holds that of its first.",
        ("test_agent.py",),
    ),
    Fault(
        "truncated-episodes-not-recorded",
        "agents/demonstrations/record.py",
        "if step.terminated[i] or step.truncated[i]:",
        "if step.terminated[i]:",
        "Episodes that met their time limit are missing in a recording.",
        ("test_demonstrations.py",),
    ),
    Fault(
        "recorded-returns-off-by-a-row",
        "agents/demonstrations/demonstrations.py",
        "np.concatenate([[0], ends[:-1] + 1])",
        "np.concatenate([[0], ends[:-1]])",
        "A recorded episode's return holds the last reward of the one before.",
        ("test_demonstrations.py",),
    ),
    Fault(
        "excluded-actions-are-accepted",
        "agents/demonstrations/demonstrations.py",
        "(mask | ~taken)",
        "(mask | taken)",
        "Recorded actions are held against the masks of others.",
        ("test_recorded_forms.py",),
    ),
    Fault(
        "minari-observations-shifted",
        "agents/demonstrations/minari.py",
        "lambda x: x[:-1]",
        "lambda x: x[1:]",
        "A clone learns to answer the observation that follows its action.",
        ("test_demonstrations.py",),
    ),
    Fault(
        "sampled-actions-repeat",
        "agents/agent.py",
        "self._samples += 1",
        "self._samples = 1",
        "A stochastic agent's predict draws the same noise at every call.",
        ("test_agent.py",),
    ),
    Fault(
        "exported-memory-is-never-reset",
        "agents/export/formats/program.py",
        "seen, reset, memory, key",
        "seen, reset if reset is None else jnp.zeros_like(reset), memory, key",
        "An exported policy remembers the episode before.",
        ("test_exported_forms.py::test_onnx_runtime_acts_as_predict_does",),
    ),
    Fault(
        "exported-state-in-the-order-of-keys",
        "agents/export/formats/program.py",
        "leaves = [state[name] for name in names]",
        "leaves = list(state.values())",
        "An exported LSTM takes its hidden state for its cell.",
        ("test_exported_forms.py::test_onnx_runtime_acts_as_predict_does",),
    ),
    Fault(
        "exported-without-masks",
        "agents/export/formats/program.py",
        "policy, normalizer, to_env, seen, reset",
        "policy, normalizer, to_env, getattr(seen, 'seen', seen), reset",
        "An exported policy chooses actions that are not valid.",
        ("test_exported_forms.py::test_only_valid_actions_come_out",),
    ),
    Fault(
        "onnx-parts-in-the-order-of-keys",
        "agents/export/formats/onnx_graph.py",
        "(port, functools.reduce(operator.getitem, port.path, tree))\n",
        "(port, jax.tree.leaves(tree)[ports(space, name).index(port)])\n",
        "A part of a mixed action has the values and bounds of another one.",
        ("test_exported_forms.py::test_onnx_runtime_acts_as_predict_does",),
    ),
    Fault(
        "onnx-not-clipped-above",
        "agents/export/formats/onnx_elementwise.py",
        '"min": _same("Min")',
        '"min": lambda graph, equation, bound, x: x',
        "An exported policy returns actions above the space's upper bound.",
        ("test_exporting.py::test_onnx_runtime_acts_as_predict_does",),
    ),
    Fault(
        "onnx-choices-swapped",
        "agents/export/formats/onnx_elementwise.py",
        "which, cases[1], cases[0]",
        "which, cases[0], cases[1]",
        "What a condition chooses in an exported policy is what it should not.",
        ("test_exported_forms.py::test_only_valid_actions_come_out",),
    ),
    Fault(
        "onnx-padded-on-the-other-side",
        "agents/export/formats/onnx_arrays.py",
        "pads = graph.constant([*below, *above], np.int64)",
        "pads = graph.constant([*above, *below], np.int64)",
        "The pooling of an exported IMPALA encoder looks at other pixels.",
        (
            "test_exported_forms.py::test_a_network_of_ones_own_has_a_graph_where_its_primitives_have",
        ),
    ),
    Fault(
        "onnx-repeats-along-another-dimension",
        "agents/export/formats/onnx_elementwise.py",
        "return x if _core(target) == _core(x.shape) else graph.reshape(x, target)",
        "return x if len(target) <= len(x.shape) + 1 else graph.reshape(x, target)",
        "A number of each row is taken for one of each column in an exported policy.",
        ("test_exported_forms.py::test_onnx_runtime_acts_as_predict_does",),
    ),
    Fault(
        "exported-programs-sample",
        "agents/export/formats/program.py",
        "deterministic=True",
        "deterministic=False",
        "An exported program adds the same noise to every action.",
        ("test_exporting.py",),
    ),
    Fault(
        "every-environment-filmed-from-one-seed",
        "agents/video/video_recorder.py",
        "seed + i if number == 0 else None",
        "seed if number == 0 else None",
        "The video of a second environment begins where the first one did.",
        ("test_video.py",),
    ),
    Fault(
        "window-shared-by-all-copies",
        "agents/agent.py",
        "copies, source = min(episodes, 1), lambda: window",
        "copies, source = episodes, lambda: window",
        "Several episodes are played in the one environment of the window at once.",
        ("test_window.py",),
    ),
    Fault(
        "predict-forgets-the-offset",
        "agents/playing/handed_in.py",
        "spec.observation_space, observation, offset=offset_of(normalizer))",
        "spec.observation_space, observation)",
        "Of observations far from zero an agent in use sees other numbers than in training.",
        ("test_offset.py",),
    ),
    Fault(
        "recorded-as-the-environment-left-it",
        "agents/playing/episodes.py",
        "step = env.step(jax.tree.map(np.copy, action))",
        "step = env.step(action)",
        "Demonstrations hold actions that the environment has scaled in place.",
        ("test_agent.py::test_what_is_recorded_is_the_action_that_the_agent_chose",),
    ),
    Fault(
        "played-with-the-memory-of-the-episode-before",
        "agents/playing/episodes.py",
        "starts = step.terminated | step.truncated | ~step.valid",
        "starts = np.zeros_like(step.terminated)",
        "A policy remembers the episode before the one that it plays.",
        ("test_memory.py", "test_recurrent_agents.py"),
    ),
    Fault(
        "state-of-another-batch",
        "agents/playing/handed_in.py",
        "if shapes[0] != shapes[1]:",
        "if shapes[0] is None:",
        "A memory of other observations is taken.",
        ("test_recurrent_agents.py",),
    ),
)
