"""What a finished training leaves, and whose it is."""

import pytest

from orandnet_core.errors import ConfigError
from train.training import finished, write_result


@pytest.fixture
def made(tmp_path):
    """The folder of a finished training of identity `a`."""
    folder = tmp_path / "base" / "segment"
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(b"weights")
    write_result(folder, {"identity": "a", "images": 3})
    return folder


def test_a_finished_training_is_known_by_its_identity(made):
    assert finished(made, made / "weights", "a") == {"identity": "a", "images": 3}
    assert finished(made, made / "weights", "b") is None
    assert finished(made, made / "absent", "a") is None


def test_a_folder_linked_from_another_run_serves_and_is_not_trained_in(made, tmp_path):
    link = tmp_path / "segment"
    link.symlink_to(made, target_is_directory=True)
    assert finished(link, link / "weights", "a") == {"identity": "a", "images": 3}
    with pytest.raises(ConfigError, match="is a link to .*delete the link"):
        finished(link, link / "weights", "b")
