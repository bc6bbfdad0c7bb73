"""A package of a model cannot write outside its folder."""

import pytest
from hostile_archives import WAYS, hostile, nothing_outside, packed

from stages.shared.stage_command import StageError
from stages.tools.deploy.package import unpacked


@pytest.mark.parametrize("way", WAYS)
def test_a_package_cannot_write_outside_its_folder(way, tmp_path):
    archive = packed(tmp_path / "model.tar.gz", hostile(tmp_path)[way])
    with pytest.raises(StageError, match=r"model\.tar\.gz (is damaged|holds no)"), unpacked(archive):
        pytest.fail("it was unpacked")
    assert nothing_outside(tmp_path)
