import pytest


@pytest.fixture(autouse=True)
def _style(report_style):
    """Every test of figures draws in the report's style."""
