"""Public attributes at the door of a training: given exactly where they are used, and about the items at hand."""

from collections.abc import Sequence

from recsys.data.attributes import AttributeTable
from recsys.errors import InputError
from recsys.models.attributes import ItemAttributes
from recsys.training.terms import TrainConfig


def item_attributes(
    config: TrainConfig, attributes: AttributeTable | None, items: Sequence[str]
) -> ItemAttributes | None:
    """What the table says of these items, in their order; None without a table.

    Raises:
        InputError: the training has no use for a table, or was to have one, or it describes none of the items, or
            nothing that two of them share.
    """
    if config.attributes != (attributes is not None):
        given = "none" if attributes is None else f"those of {attributes.source}"
        msg = (
            f"expected item attributes exactly where the configuration says so, got {given} and "
            f"attributes={config.attributes}; set both or neither"
        )
        raise InputError(msg)
    if attributes is None:
        return None
    require_use([config])
    described = attributes.of(items)
    found = ItemAttributes(labels=described.labels, numbers=described.numbers)
    if not found.features().shape[1]:
        msg = (
            f"expected attributes that items share in {attributes.source}, got none that two items have or differ in; "
            "describe kinds of items, not each one by itself"
        )
        raise InputError(msg)
    return found


def require_use(configs: Sequence[TrainConfig]) -> None:
    """Return if one of the trainings uses attributes, or none is given any.

    Raises:
        InputError: attributes are given and would be of no use.
    """
    if any(config.attributes for config in configs) and not any(config.directions for config in configs):
        config = configs[0]
        asked = " and ".join(dict.fromkeys(each.trainer.value for each in configs))
        msg = (
            f"expected the trainer gram and a finite epsilon to use item attributes with, got {asked} at epsilon "
            f"{config.epsilon:g}; leave --attributes out"
        )
        raise InputError(msg)
