"""GPU machines that the clouds sell: one CSV a cloud, one predicate."""

from planning.offers.offer import Offer

__all__ = ["Offer"]
