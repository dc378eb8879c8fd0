"""Runs as a page to look at: one HTML file that needs nothing but a browser.

`data` turns run folders into numbers, `single_run` and `comparison` turn numbers into figures and
tables, `drawing` draws them, and `page` puts them on a page.
"""

from surefoot.reporting.report import check_file, write

__all__ = ["check_file", "write"]
