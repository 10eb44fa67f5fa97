"""A model, with what is made of it once so that it can be served."""

from dataclasses import dataclass

from recsys.models.factors import ItemFactors
from recsys.serving.lists import LIST_LENGTH, Row, popular_list
from recsys.serving.ranker import Ranker


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is served or published, read once per version."""

    version: str
    factors: ItemFactors
    popular: tuple[Row, ...]
    ranker: Ranker
    slot: int
    """Of the cache: where its lists lie."""

    @classmethod
    def of(cls, version: str, factors: ItemFactors, slot: int) -> "LoadedModel":
        """The model of this version, whose lists lie in this slot."""
        return cls(version, factors, popular_list(factors), Ranker.of(factors, length=LIST_LENGTH), slot)
