"""Which images most runs get wrong, counted by hand."""

import numpy as np

from stages.collect.hard_images import hardest_images

# Failures of the five images: 0, 2, 1, 3, 2.
CORRECT = np.array([[1, 0, 1, 0, 1], [1, 1, 0, 0, 0], [1, 0, 1, 0, 0]])


def test_the_hardest_come_first_and_equals_keep_their_order():
    for correct in (CORRECT, CORRECT.astype(bool), CORRECT.astype(np.uint8)):
        indices, failures = hardest_images(correct, 3)
        assert indices.tolist() == [3, 1, 4]
        assert failures.tolist() == [3, 2, 2]


def test_no_more_images_than_there_are():
    indices, failures = hardest_images(CORRECT, 100)
    assert indices.tolist() == [3, 1, 4, 2, 0]
    assert failures.tolist() == [3, 2, 2, 1, 0]
