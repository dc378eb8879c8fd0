"""What tests read of the folders of runs."""

import json

from surefoot.common.files import array_folder


def lines(path):
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def rows(folder):
    """A run's metrics."""
    return lines(folder / "metrics.jsonl")


def untimed(folder):
    """Those without what differs between two runs of the same seed."""
    return [{k: v for k, v in row.items() if k != "timing"} for row in rows(folder)]


def arrays(folder, agent="agent"):
    """The parameters of a run's agent."""
    return array_folder.load(folder / agent)[0]
