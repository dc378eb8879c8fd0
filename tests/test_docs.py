"""What the documentation shows is what there is: every block runs, every link leads somewhere."""

import pages
import pytest


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    pages.scaled(monkeypatch)
    pages.play(page, tmp_path)
