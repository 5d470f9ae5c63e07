"""What the models of a stack in the lab need, told to who brings it there."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from model_factory.cli.session import Session
from model_factory.cli.sites import all_sites
from model_factory.facts.clouds import Cloud
from model_factory.local.clouds.manager import CloudSpec
from model_factory.local.lab.images.store import ImageStore
from model_factory.local.lab.seed import LocalAws, LocalGcp, Report, Seed, Store, Tagged, seed
from model_factory.local.lab.weights.store import MODELS, WeightsStore
from model_factory.planning.placing.plan import Placement


def seed_stack(session: Session, registry_url: str, ended: threading.Event, report: Report = lambda _: None) -> None:
    """Brings images and weights of the models that the lab makes to their repositories and buckets while `up` makes these.

    Other models of the stack are left alone: what they are made of is their user's to bring. Ends when the event is set, done or not.

    Raises:
        LabError: something cannot be made, or a local cloud or the registry does not take it.
    """
    seed(seeds_of(session, report), registry_url, ended, report)


def seeds_of(session: Session, report: Report) -> list[Seed]:
    """A seed a placement of a model that the lab makes."""
    stores = {spec.name: spec for spec in session.clouds()}
    images, weights, sites = ImageStore(report).images(), WeightsStore(report), all_sites(session)
    fetcher = session.settings.local.fetcher if session.settings.local else None
    return [
        Seed(
            store=_store(each, stores, session),
            site=sites[f"{each.cloud}/{each.region}"],
            model=each.model.name,
            prefix="".join(f"{part}/" for part in (each.model.weights.path, each.model.weights.revision) if part),
            files=weights.weights(each.model.name),
            images=(
                Tagged(images[MODELS[each.model.name]], _tag(each.model.image)),
                *([Tagged(images["fetch"], _tag(fetcher))] if fetcher else []),
            ),
        )
        for each in session.plan.placements
        if each.model.name in MODELS
    ]


def _store(placement: Placement, specs: Mapping[str, CloudSpec], session: Session) -> Store:
    url = specs[placement.cloud].url
    gcp = session.settings.gcp
    stores: dict[Cloud, Store] = {
        "aws": LocalAws(url, placement.region),
        "gcp": LocalGcp(url, gcp.project if gcp is not None else ""),
    }
    return stores[placement.cloud]


def _tag(image: str) -> str:
    return image.partition("@")[0].rpartition(":")[2]
