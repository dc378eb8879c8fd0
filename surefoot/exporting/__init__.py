"""A policy as one file that runs without surefoot, with a card that says what it is."""

from surefoot.exporting.export import Exported as Exported
from surefoot.exporting.export import check_export as check_export
from surefoot.exporting.export import export as export
