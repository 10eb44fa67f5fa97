"""Erasure with everything it needs: the desk that acknowledges, the worker that finishes."""

from datetime import timedelta

from recsys.data.history import EMPTY_HISTORY, History, merge
from recsys.erasure.desk import ErasureDesk
from recsys.erasure.lineage import INTERNAL, lineage, roster_proof
from recsys.erasure.workflow import ErasureWorker
from recsys.errors import NotFoundError, PrivrecError
from recsys.evidence.manifest import manifest
from recsys.rights.desk import SubjectDesk, two_accounts
from recsys.rights.files import SubjectFiles
from recsys.rights.opendsr import DsrDesk
from recsys.rights.worker import SubjectWorker
from recsys.serving.publisher import Progress
from recsys.serving.recommender import Recommender
from recsys.store.settings import Settings
from recsys.store.workspace import Workspace
from recsys.types import ErasureState, Json, ModelVersion, UserKey


def recommender(workspace: Workspace) -> Recommender:
    """The recommender over a workspace."""
    return Recommender(
        pseudonyms=workspace.pseudonyms,
        catalogue=workspace.catalogue,
        histories=workspace.histories,
        registry=workspace.registry,
        cache=workspace.cache,
        seals=workspace.keys,
        fence=workspace.fence,
        clock=workspace.clock,
    )


def desk(workspace: Workspace) -> ErasureDesk:
    """The desk over a workspace."""
    return ErasureDesk(
        pseudonyms=workspace.pseudonyms,
        erasures=workspace.erasures,
        journal=workspace.journal,
        fence=workspace.fence,
        clock=workspace.clock,
        due_days=workspace.settings.erasure_due_days,
        grace_hours=workspace.settings.erasure_grace_hours,
    )


def worker(workspace: Workspace, progress: Progress = lambda _: None) -> ErasureWorker:
    """The worker over a workspace: releases through the ledger, publishes with the live model."""
    return ErasureWorker(
        workspace,
        release_again=lambda sum_id, purpose: _release_again(workspace, sum_id, purpose),
        publish=lambda: recommender(workspace).publish(progress),
        train_every=_train_every(workspace.settings),
        backups=workspace.settings.backups_kept,
    )


def subject_desk(workspace: Workspace) -> SubjectDesk:
    """The desk for the other rights over a workspace."""
    return SubjectDesk(
        pseudonyms=workspace.pseudonyms,
        subjects=workspace.subjects,
        journal=workspace.journal,
        catalogue=workspace.catalogue,
        exports=workspace.exports,
        fence=workspace.fence,
        clock=workspace.clock,
    )


def dsr_desk(workspace: Workspace) -> DsrDesk:
    """The desk for requests in the form of OpenDSR over a workspace."""
    files = SubjectFiles(
        exports=workspace.exports,
        histories=workspace.histories,
        pseudonyms=workspace.pseudonyms,
        clock=workspace.clock,
    )
    return DsrDesk(
        dsr=workspace.dsr,
        desk=desk(workspace),
        erasures=workspace.erasures,
        files=files,
        pseudonyms=workspace.pseudonyms,
        seals=workspace.keys,
        clock=workspace.clock,
        due_days=workspace.settings.erasure_due_days,
    )


def subject_worker(workspace: Workspace, progress: Progress = lambda _: None) -> SubjectWorker:
    """The worker that brings sums and models after objections, restrictions, rectifications and merges."""
    return SubjectWorker(
        workspace,
        release_again=lambda sum_id, purpose: _release_again(workspace, sum_id, purpose),
        publish=lambda: recommender(workspace).publish(progress),
    )


def _train_every(settings: Settings) -> timedelta | None:
    if not settings.train_every:
        return None
    from recsys.privacy.schedule import days_of  # noqa: PLC0415 - numpy: a server must not start with it

    return timedelta(days=days_of(settings.train_every))


def preview(workspace: Workspace, user_id: str) -> dict[str, Json]:
    """Where the customer is and an erasure would go; nothing is changed."""
    user_key = workspace.pseudonyms.user_key(user_id)
    return lineage(workspace, user_key, workspace.settings.backups_kept)


def preview_merge(workspace: Workspace, user_id: str, into_user_id: str) -> dict[str, Json]:
    """How many purchases each account has, and both have together; nothing is changed. Of who was erased, none.

    Raises:
        InputError: an id cannot be one, or both are one.
    """
    keys = two_accounts(workspace.pseudonyms, user_id, into_user_id)
    account, into = (_history(workspace, user_key) for user_key in keys)
    together = merge(into, account.purchases)
    return {
        "account": len(account),
        "into": len(into),
        "together": len(together.history),
        "conflicts": int(together.conflict.sum()),
        "counted": INTERNAL,
    }


def _history(workspace: Workspace, user_key: UserKey) -> History:
    erased = workspace.histories.state(user_key).erased
    return EMPTY_HISTORY if erased else workspace.histories.history(user_key)


def prove_roster(workspace: Workspace, version: str, user_id: str) -> dict[str, Json]:
    """The version's manifest, and a proof whether it was made with the customer.

    Raises:
        NotFoundError: no such version, or it is older than rosters.
        ArtifactError: the record says other customers than the manifest.
    """
    user_key = workspace.pseudonyms.user_key(user_id)
    for found in workspace.registry.versions():
        if found.version == version:
            return {"manifest": manifest(found), "proof": roster_proof(workspace, found, user_key)}
    msg = "expected a version as in `privrec models`, got another; take one from there"
    raise NotFoundError(msg)


def _release_again(workspace: Workspace, sum_id: str, purpose: str) -> ModelVersion:
    from recsys.training.renew import renew  # noqa: PLC0415 - half a second: a server must not start with it

    return renew(workspace, sum_id, purpose=purpose)


def finish(workspace: Workspace, request_id: str, progress: Progress = lambda _: None) -> bytes:
    """The receipt of this request, once the worker has been through everything that is pending.

    Raises:
        PrivrecError: this request could not be finished; another one that is held up is no error here.
        NotFoundError: it is in its days of grace, or stuck.
    """
    try:
        worker(workspace, progress).run(waiting=True)
    except PrivrecError:
        if workspace.erasures.request(request_id).state is not ErasureState.RECEIPTED:
            raise
    return workspace.erasures.receipt(request_id)
