"""GPU machines that the clouds sell: one CSV a cloud, one predicate."""

from planning.offers.catalogue import Catalogue, Rejected, catalogue, without_mispriced
from planning.offers.fit import Need, fits, misfits, replicas_per_node, why_not, zones_for
from planning.offers.offer import Offer, gke_accelerator_type

__all__ = [
    "Catalogue",
    "Need",
    "Offer",
    "Rejected",
    "catalogue",
    "fits",
    "gke_accelerator_type",
    "misfits",
    "replicas_per_node",
    "why_not",
    "without_mispriced",
    "zones_for",
]
