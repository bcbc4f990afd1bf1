"""How long work ends before it is done; apart from the loop, so that no torch is needed to know it."""

import errno


class Interrupted(BaseException):
    """SIGTERM came: the state is saved and the process should end. Not an error to be handled."""


def is_full_disk(error: BaseException) -> bool:
    """Whether a write failed because no space, or none of this user's share, is left."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
