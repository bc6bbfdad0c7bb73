"""A whole protocol trained in jobs has every byte of the one trained here: of the tests' small settings.

`make same-bytes P=…` does this with the repository's own settings.
"""

import pytest

pytest.importorskip("boto3", reason="the extra `sagemaker` is not installed")
pytest.importorskip("sagemaker.core.resources", reason="the extra `sagemaker` is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

from same_bytes import trained_twice


@pytest.mark.slow
def test_a_whole_protocol_trained_in_jobs_has_every_byte_of_the_one_trained_here(tmp_path):
    here, there, jobs = trained_twice(tmp_path, "quick")
    assert there == here
    assert jobs == 2
    assert sum(name.endswith("/record.json") for name in here) == 4
    assert "dvc.lock" in here
