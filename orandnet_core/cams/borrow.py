"""Use a network that others share, and give it back as it was."""

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

_locks: weakref.WeakKeyDictionary[nn.Module, threading.RLock] = weakref.WeakKeyDictionary()
_locks_lock = threading.Lock()


@contextmanager
def borrowed(network: nn.Module) -> Iterator[None]:
    """Have a network to oneself, in evaluation mode; every train flag is put back, also on error.

    Sessions of the app share one network: hooks and flags of one must not be seen by
    another, so there is a lock for each network. Gradients are taken with
    `torch.autograd.grad`, which leaves `.grad` and `requires_grad` of the weights alone.
    """
    with _lock_of(network):
        training = [module for module in network.modules() if module.training]
        try:
            for module in training:
                module.training = False
            yield
        finally:
            # Not `train()`: a network may keep frozen parts in evaluation mode.
            for module in training:
                module.training = True


@contextmanager
def output_changed(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Pass what a module gives through `change` while the context lasts."""
    handle = module.register_forward_hook(lambda _module, _inputs, output: change(output))
    try:
        yield
    finally:
        handle.remove()


def _lock_of(network: nn.Module) -> threading.RLock:
    with _locks_lock:
        return _locks.setdefault(network, threading.RLock())
