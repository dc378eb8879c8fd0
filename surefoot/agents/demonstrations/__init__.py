"""Recorded behavior: what was seen, what was done, and what it earned.

`record` plays an agent's episodes, `save` and `load` keep them in one file, and `load` also reads
Minari datasets.
"""

from surefoot.agents.demonstrations.demonstrations import Demonstrations as Demonstrations
from surefoot.agents.demonstrations.files import check_new_file as check_new_file
from surefoot.agents.demonstrations.files import load as load
from surefoot.agents.demonstrations.files import save as save
from surefoot.agents.demonstrations.record import record as record
