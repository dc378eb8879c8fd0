"""Faults of `cli`: arguments, commands, exit codes."""

from benchmarks.planted_faults.fault import Fault

FAULTS = (
    Fault(
        "mistakes-exit-with-0",
        "cli/main.py",
        "return 2",
        "return 0",
        "A script cannot tell that its command was refused.",
        ("test_cli.py",),
    ),
    Fault(
        "failed-runs-exit-with-0",
        "cli/main.py",
        """except TrainingError as error:
        print(f"surefoot: {runnable(str(error))}", file=sys.stderr)
        return 1""",
        """except TrainingError as error:
        print(f"surefoot: {runnable(str(error))}", file=sys.stderr)
        return 0""",
        "A script takes a run that broke off for a complete one.",
        ("test_workers.py::test_the_command_line_reports_a_defect_once_and_exits_with_1",),
    ),
    Fault(
        "switched-off-flags-unknown",
        "cli/arguments.py",
        'if name in flags or name.removeprefix("no-") in flags:',
        "if name in flags:",
        "--no-report and every other --no-FLAG is refused.",
        ("test_cli.py", "test_report.py"),
    ),
    Fault(
        "underscores-unknown",
        "cli/arguments.py",
        'token[2:].replace("_", "-").partition("=")',
        'token[2:].partition("=")',
        "--max_kl, as Python spells it, is refused.",
        ("test_cli.py",),
    ),
    Fault(
        "stochastic-turned-round",
        "cli/commands/evaluate.py",
        "deterministic=not options.stochastic",
        "deterministic=options.stochastic",
        "evaluate samples actions unless --stochastic is given.",
        ("test_cli.py",),
    ),
    Fault(
        "evaluate-forgets-the-seed",
        "cli/commands/evaluate.py",
        "            options.seed,\n",
        "",
        "evaluate --seed does nothing.",
        ("test_cli.py", "test_agent.py"),
    ),
    Fault(
        "record-forgets-the-seed",
        "cli/commands/record.py",
        "        options.seed,\n",
        "",
        "record --seed does nothing: two recordings hold the same episodes.",
        (
            "test_demonstrations.py::test_the_command_line_records_a_run",
            "test_cli.py",
        ),
    ),
    Fault(
        "export-forgets-the-seed",
        "cli/commands/export.py",
        "        seed=options.seed,\n",
        "",
        "export --seed does nothing.",
        (
            "test_exporting.py::test_the_cards_episodes_are_those_of_the_seed",
            "test_cli.py",
        ),
    ),
    Fault(
        "inspect-takes-the-clip-for-beta",
        "cli/commands/inspect.py",
        "beta=options.beta",
        "beta=options.clip",
        "inspect --beta does nothing, and --clip sets both.",
        ("test_inspect.py::test_the_command_prints_and_writes",),
    ),
    Fault(
        "seeds-from-0-on",
        "cli/commands/train.py",
        "seeds = range(first, first + options.seeds)",
        "seeds = range(options.seeds)",
        "train --seed does nothing: every run has seed 0.",
        ("test_cli.py",),
    ),
    Fault(
        "report-whether-wanted-or-not",
        "cli/commands/train.py",
        "if options.report:",
        "if folders:",
        "train --no-report writes a report.",
        (
            "test_report.py::test_training_ends_with_a_report_and_never_fails_by_it",
            "test_cli.py",
        ),
    ),
    Fault(
        "resume-forgets-the-steps",
        "cli/commands/resume.py",
        "restored(options.run, steps=options.steps, env=env)",
        "restored(options.run, env=env)",
        "resume --steps does nothing: a run cannot be made longer.",
        (
            "test_cli.py::test_a_complete_run_says_so_and_how_it_is_made_longer",
            "test_resume.py",
        ),
    ),
    Fault(
        "defects-exit-with-0",
        "cli/commands/check_env.py",
        "return 1 if defects else 0",
        "return 0",
        "A script takes a defective environment for a sound one.",
        ("test_check_env.py",),
    ),
    Fault(
        "doctor-bears-any-error",
        "cli/commands/doctor.py",
        "if not error < 1e-4:",
        "if not error < 1e4:",
        "A build of JAX that computes wrongly is called sound.",
        ("test_cli.py::test_the_doctor_reports_a_build_that_computes_wrongly",),
    ),
    Fault(
        "mean-of-all-episodes-told-as-the-score",
        "cli/commands/messages.py",
        "means = [score.value for score in scores]",
        "means = [sum(result.returns) / len(result.returns) for result in results]",
        "What train says at its end is the mean of all episodes.",
        ("test_cli.py::test_the_score_is_on_the_screen",),
    ),
    Fault(
        "interrupted-runs-exit-with-0",
        "cli/commands/messages.py",
        "return int(signals.exit_code)",
        "return 0",
        "A script takes a run that was stopped for a complete one.",
        ("test_signals.py::test_a_run_ends_with_a_checkpoint_and_can_be_gone_on_with",),
    ),
    Fault(
        "names-with-pictures",
        "cli/commands/messages.py",
        'options |= {"markup": False, "emoji": False}',
        'options |= {"markup": False}',
        "A folder whose name has a word between colons is told of under another name.",
        ("test_names.py",),
    ),
)
