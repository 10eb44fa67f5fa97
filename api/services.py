"""What the routes work with: made once when the application starts, and found through the request."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import Depends, Request

from api.known_keys import KnownKeys
from api.rate_limit import TokenBuckets
from recsys.erasure.desk import ErasureDesk
from recsys.rights.desk import SubjectDesk
from recsys.rights.files import SubjectFiles
from recsys.rights.opendsr import DsrDesk
from recsys.serving.feedback import FeedbackDesk
from recsys.serving.recommender import Recommender
from recsys.serving.shown_items import ShownItems
from recsys.serving.storefront import Storefront
from recsys.store.secret import hash_secret
from recsys.store.workspace import Workspace


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """The stores, the services that customers meet, and what stands at the door."""

    workspace: Workspace
    recommender: Recommender
    storefront: Storefront
    desk: ErasureDesk
    subject_desk: SubjectDesk
    subject_files: SubjectFiles
    dsr_desk: DsrDesk
    feedback: FeedbackDesk
    shown: ShownItems
    known_keys: KnownKeys
    buckets: TokenBuckets


def make_services(workspace: Workspace, *, due_days: int) -> Services:
    """The services over the stores of a workspace; an erasure is due `due_days` days after it was asked for."""
    recommender = Recommender(
        pseudonyms=workspace.keys,
        catalogue=workspace.catalogue,
        histories=workspace.histories,
        registry=workspace.registry,
        cache=workspace.cache,
        seals=workspace.keys,
        fence=workspace.fence,
        clock=workspace.clock,
    )
    desk = ErasureDesk(
        pseudonyms=workspace.keys,
        erasures=workspace.erasures,
        journal=workspace.journal,
        fence=workspace.fence,
        clock=workspace.clock,
        due_days=due_days,
        grace_hours=workspace.settings.erasure_grace_hours,
    )
    subject_desk = SubjectDesk(
        pseudonyms=workspace.keys,
        subjects=workspace.subjects,
        journal=workspace.journal,
        catalogue=workspace.catalogue,
        exports=workspace.exports,
        fence=workspace.fence,
        clock=workspace.clock,
    )
    subject_files = SubjectFiles(
        exports=workspace.exports, histories=workspace.histories, pseudonyms=workspace.keys, clock=workspace.clock
    )
    dsr_desk = DsrDesk(
        dsr=workspace.dsr,
        desk=desk,
        erasures=workspace.erasures,
        files=subject_files,
        pseudonyms=workspace.keys,
        seals=workspace.keys,
        clock=workspace.clock,
        due_days=due_days,
    )
    feedback = FeedbackDesk(
        seals=workspace.keys, catalogue=workspace.catalogue, feedback=workspace.feedback, clock=workspace.clock
    )
    storefront = Storefront(
        recommender=recommender,
        pseudonyms=workspace.keys,
        catalogue=workspace.catalogue,
        histories=workspace.histories,
        clock=workspace.clock,
    )
    settings = workspace.settings
    return Services(
        workspace=workspace,
        recommender=recommender,
        storefront=storefront,
        desk=desk,
        subject_desk=subject_desk,
        subject_files=subject_files,
        dsr_desk=dsr_desk,
        feedback=feedback,
        shown=ShownItems(workspace.catalogue),
        known_keys=KnownKeys(workspace.api_keys, partial(hash_secret, workspace.keys)),
        buckets=TokenBuckets(rate=settings.requests_per_second, burst=settings.requests_burst),
    )


# A plain function would cost every request a hop through the thread pool.
async def services_of(request: Request) -> Services:
    """The services of the application that the request came to."""
    services: Services = request.app.state.services
    return services


Serving = Annotated[Services, Depends(services_of)]
"""The parameter type of a route that needs the services."""
