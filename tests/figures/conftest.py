"""Every test of figures draws in the report's style and closes what it drew."""

import pytest

from stages.shared.drawing import style


@pytest.fixture(autouse=True)
def _style():
    style.use_style()
    yield
    style.plt.close("all")
