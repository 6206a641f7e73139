"""Networks that are trained on the same samples again, in tests of what is done with them: trained once."""

import copy
from contextlib import contextmanager

import pytest

from nextday.models.networks import training
from nextday.models.networks.training import as_tensor


def _content(network, *samples):
    """Return what training makes a network of: its settings, its initial weights, its samples."""
    settings = [
        {name: value for name, value in vars(module).items() if isinstance(value, int | float | str | tuple)}
        for module in network.modules()
    ]
    arrays = [array for one in samples for array in (as_tensor(one.windows).numpy(), one.y)]
    values = [value.numpy() for value in network.state_dict().values()] + arrays
    return repr(network), repr(settings), *(value.tobytes() for value in values)


@contextmanager
def trained_once():
    """Train once for equal arguments; what trains in any case is given."""
    train, done = training.train, {}

    def once(network, *samples, **options):
        if hasattr(network, "noise"):  # that of a VAE is drawn from a generator on the way
            return train(network, *samples, **options)
        key = (*_content(network, *samples), repr(options))
        if key not in done:
            trained = train(network, *samples, **options)
            done[key] = trained, copy.deepcopy(network.state_dict())
        trained, weights = done[key]
        network.load_state_dict(weights)
        return trained

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "train", once)
        yield train
