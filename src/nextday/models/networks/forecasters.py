"""The networks that a study can name: settings here; PyTorch is imported only in the training process."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from nextday.errors import StudyError
from nextday.models.networks.base import Network

if TYPE_CHECKING:
    from nextday.models.networks.heads import Headed


@dataclass(frozen=True, slots=True)
class Lstm(Network):
    """LSTM layers, the last hidden state, and a head of two linear layers."""

    hidden: Annotated[int, Field(ge=2)] = 64
    layers: Annotated[int, Field(ge=1)] = 2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2

    def build(self, features: int) -> "Headed":
        """Build the network."""
        from nextday.models.networks.lstm import LstmNetwork

        return LstmNetwork(
            features, hidden=self.hidden, layers=self.layers, dropout=self.dropout, head=self.make_head(),
            precision=self.training.precision,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gru(Network):
    """GRU layers, the last hidden state, and a head of two linear layers."""

    hidden: Annotated[int, Field(ge=2)] = 64
    layers: Annotated[int, Field(ge=1)] = 2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2

    def build(self, features: int) -> "Headed":
        """Build the network."""
        from nextday.models.networks.gru import GruNetwork

        return GruNetwork(
            features, hidden=self.hidden, layers=self.layers, dropout=self.dropout, head=self.make_head()
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mlp(Network):
    """Feed-forward layers on the whole window, each half as wide as the one before, and a head of two linear layers.

    ``hidden`` is the width of the first; with the default the network has about as many parameters as the LSTM. It
    takes more dropout than the LSTM: with 0.2 its R2 on noise is about -4 %.
    """

    hidden: Annotated[int, Field(ge=2)] = 256
    layers: Annotated[int, Field(ge=1)] = 2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5

    def __post_init__(self) -> None:
        Network.__post_init__(self)
        if self.hidden < 2**self.layers:
            raise StudyError(
                f"model mlp: hidden {self.hidden} halved over {self.layers} layers leaves less than 2 for the last; "
                f"expected at least {2**self.layers}"
            )

    def build(self, features: int) -> "Headed":
        """Build the network."""
        from nextday.models.networks.mlp import MlpNetwork

        return MlpNetwork(
            features * self.lookback, hidden=self.hidden, layers=self.layers, dropout=self.dropout,
            head=self.make_head(),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Transformer(Network):
    """An encoder with attention over the window, its states averaged over time, and a head of two linear layers."""

    width: Annotated[int, Field(ge=2)] = 64
    layers: Annotated[int, Field(ge=1)] = 2
    heads: Annotated[int, Field(ge=1)] = 4
    feedforward: Annotated[int, Field(ge=1)] = 256
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1

    def __post_init__(self) -> None:
        Network.__post_init__(self)
        if self.width % (2 * self.heads):
            raise StudyError(f"model transformer: width {self.width} is not a multiple of 2 x heads, {2 * self.heads}")

    def build(self, features: int) -> "Headed":
        """Build the network."""
        from nextday.models.networks.transformer import TransformerNetwork

        return TransformerNetwork(
            features, width=self.width, layers=self.layers, heads=self.heads, feedforward=self.feedforward,
            dropout=self.dropout, head=self.make_head(),
        )  # fmt: skip
