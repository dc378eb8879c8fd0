"""Runs as a page to look at: one HTML file that needs nothing but a browser.

`reading` turns run folders into numbers, `panels` and `comparison` turn numbers into `figures` and
`tables`, `interactive` and `plain` draw figures, and `page` puts them on a page.
"""

from surefoot.reporting.report import check_file, write

__all__ = ["check_file", "write"]
