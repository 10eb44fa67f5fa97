"""Item factors: the model that is published. Nothing in it belongs to one customer."""

import json
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from recsys.errors import ArtifactError
from recsys.evidence.canonical import canonical_json, digest

HEADER = "header"
"""The tensor with the canonical JSON of everything that is no tensor, as bytes."""

TENSORS = {"encoder": 2, "factors": 2, "item_weights": 1, "popularity": 1}
"""The tensors of a model file and their numbers of axes."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ItemFactors:
    """Two item tables and two public item vectors.

    A customer who bought the items S is encoded as z = sum over j in S of w_j E_j / ||w_S||, and item i scores F_i · z,
    with E the encoder, F the factors and w the item weights. An item that the model does not know has weight 0 and
    factors 0.
    """

    item_ids: tuple[str, ...]
    encoder: NDArray[np.float32]
    """(n_items, n_factors): what one purchase adds to the customer's vector."""
    factors: NDArray[np.float32]
    """(n_items, n_factors): what the customer's vector is multiplied with."""
    item_weights: NDArray[np.float32]
    """(n_items,): the weight of an item within a customer's vector, made from released counts only."""
    popularity: NDArray[np.float32]
    """(n_items,): released counts (noisy under DP); the list for customers without a history, and the tie-breaker."""
    regularization: float = 0.0
    """0: encode as above. Above 0: solve the ridge problem of implicit ALS with this regularisation (see fold_in)."""
    alpha: float = 1.0
    """The weight of a purchase in that ridge problem."""

    def __post_init__(self) -> None:
        """Check shapes and values, and make the arrays read-only.

        Raises:
            ArtifactError: shapes disagree, or a number is not finite.
        """
        n_items = len(self.item_ids)
        for name, axes in TENSORS.items():
            tensor = getattr(self, name)
            if (
                tensor.ndim != axes
                or len(tensor) != n_items
                or tensor.dtype != np.float32
                or not np.isfinite(tensor).all()
            ):
                msg = (
                    f"expected {name} to be finite float32 with {n_items} rows and {axes} axes, "
                    f"got {tensor.dtype} {tensor.shape}; the model was changed: train again"
                )
                raise ArtifactError(msg)
            frozen = np.ascontiguousarray(tensor)
            frozen.flags.writeable = False
            object.__setattr__(self, name, frozen)
        if self.encoder.shape != self.factors.shape:
            msg = (
                f"expected encoder and factors of one shape, got {self.encoder.shape} and {self.factors.shape}; "
                "the model was changed: train again"
            )
            raise ArtifactError(msg)

    @property
    def n_factors(self) -> int:
        """The number of columns of both tables."""
        return self.factors.shape[1]

    def to_bytes(self) -> bytes:
        """The model as a safetensors file: equal models have equal bytes."""
        header = canonical_json(
            {"item_ids": list(self.item_ids), "regularization": self.regularization, "alpha": self.alpha}
        )
        tensors = {name: np.asarray(getattr(self, name)) for name in TENSORS}
        return save_tensors({**tensors, HEADER: np.frombuffer(header, dtype=np.uint8)})

    @property
    def digest(self) -> str:
        """The SHA-256 of the model file, in hex."""
        return digest(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> "ItemFactors":
        """The model in a safetensors file.

        Raises:
            ArtifactError: the file is cut, changed, or holds something else than a model of privrec.
        """
        try:
            tensors = load_tensors(data)
            header = json.loads(tensors.pop(HEADER).tobytes())
            fields = header | {"item_ids": tuple(header["item_ids"])}
            return cls(**fields, **cast("dict[str, Any]", tensors))
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            msg = (
                "expected a safetensors file of a privrec model, got bytes that do not read as one; "
                "the file was cut or changed: restore it from a backup or train again"
            )
            raise ArtifactError(msg) from error
