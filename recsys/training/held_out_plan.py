"""What a training releases about customers whom it holds out, and what that costs: nothing, unless it is asked to."""

from collections.abc import Sequence
from dataclasses import dataclass

from recsys.training.held_out import Group
from recsys.training.published_metrics import MetricsPlan
from recsys.training.selection import SelectionPlan
from recsys.training.terms import TrainConfig
from recsys.types import PrivacySpend


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOutPlan:
    """Published metrics, a choice among candidates, both or neither, beside a model."""

    model: TrainConfig
    """The training, with what is left for it."""
    metrics: MetricsPlan | None
    selection: SelectionPlan | None

    @classmethod
    def within(
        cls, config: TrainConfig, sum_id: str, *, publish_metrics: bool, select_factors: Sequence[int]
    ) -> "HeldOutPlan":
        """The plan that costs exactly what the configuration allows, everything together.

        Raises:
            InputError: there is nothing to choose from, or too much, or the trainer has no factors.
            PrivacyParameterError: something is to be released about a model without noise.
        """
        selection = SelectionPlan.within(config, sum_id, select_factors) if select_factors else None
        config = selection.rest if selection else config
        metrics = MetricsPlan.within(config, sum_id) if publish_metrics else None
        return cls(model=metrics.rest if metrics else config, metrics=metrics, selection=selection)

    @property
    def spends(self) -> tuple[PrivacySpend, ...]:
        """What is to be booked beside the model's own releases, before anything is drawn."""
        return (*([self.selection.spend] if self.selection else []), *(self.metrics.spends if self.metrics else ()))

    @property
    def groups(self) -> tuple[Group, ...]:
        """Who is held out."""
        wanted = {Group.METRICS: self.metrics, Group.SELECTION: self.selection}
        return tuple(group for group, plan in wanted.items() if plan)
