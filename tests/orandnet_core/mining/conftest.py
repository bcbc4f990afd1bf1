"""The data set with photos and its noisy source, by the names that these tests give them."""

import pytest

from orandnet_core.datasets import Dataset
from orandnet_core.scoring import Source


@pytest.fixture
def dataset(dataset_with_photos: Dataset) -> Dataset:
    return dataset_with_photos


@pytest.fixture
def source(noisy_source: Source) -> Source:
    return noisy_source
