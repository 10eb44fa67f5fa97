"""What an installation could try to pass off as a proof of erasure: each cheat is caught, offline, and named.

The installation holds its own signing key here, as it does in life: a signature alone proves nothing against it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError, VerificationError
from recsys.evidence.canonical import canonical_json, to_base64
from recsys.evidence.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from recsys.evidence.log import enter
from recsys.evidence.merkle import Node, consistency_spans, covering, hashes
from recsys.evidence.receipt import UNLOGGED_TYPE, subject_commitment, write_receipt
from recsys.evidence.signing import sign
from recsys.evidence.verdict import Verdict, judge, of_details, of_request, of_subject, with_kept
from recsys.types import ErasureRequest, ErasureState, Json

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key()
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
USERS = ("ada", "bo", "cleo", "dan", "eve", "fay", "gil")


def salt_of(user_id: str) -> bytes:
    return user_id.encode().ljust(16, b".")


def request_of(user_id: str, *, reason: str = "customer request") -> ErasureRequest:
    return ErasureRequest(
        request_id=f"request-of-{len(user_id)}-{salt_of(user_id).hex()}",
        subject=subject_commitment(user_id, salt_of(user_id)),
        reason=reason,
        received_at=NOON,
        due_at=NOON + timedelta(days=30),
        state=ErasureState.VERIFIED,
        release=False,
    )


def receipt_of(user_id: str, *, reason: str = "customer request") -> bytes:
    """What the worker signs."""
    return write_receipt(request_of(user_id, reason=reason), completed_at=NOON, signing_key=KEY)


@dataclass
class Log:
    """A log as an installation keeps it, and what it handed out as it grew."""

    nodes: dict[Node, bytes] = field(default_factory=dict)
    receipts: list[bytes] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, *signed: bytes) -> "Log":
        for each in signed:
            size = len(self.receipts)
            entry = enter(each, size, {node: self.nodes[node] for node in covering((0, size))}, signing_key=KEY)
            self.nodes.update(entry.nodes)
            self.receipts.append(entry.receipt)
            self.notes.append(entry.checkpoint)
        return self

    def proof(self, old: int, new: int) -> bytes:
        """The answer of `/v1/log/consistency`."""
        parts = hashes(consistency_spans(old, new), lambda nodes: {node: self.nodes[node] for node in nodes})
        return json.dumps({"from": old, "to": new, "proof": [to_base64(part) for part in parts]}).encode()

    def kept(self, size: int) -> Checkpoint:
        """What an auditor kept when the log had this size."""
        return read_checkpoint(self.notes[size - 1], PUBLIC)


HONEST = Log().add(*(receipt_of(user_id) for user_id in USERS))


def changed(receipt: bytes, change: Callable[[dict[str, Json]], None]) -> bytes:
    """The receipt, with its part about the log changed and spelled as it should be."""
    document = json.loads(receipt)
    change(document["log"])
    return canonical_json(document)


def test_an_honest_log_passes_every_check_whichever_checkpoint_is_older() -> None:
    for number, user_id in enumerate(USERS):
        for size in range(1, len(USERS) + 1):
            verdict = judge(HONEST.receipts[number], PUBLIC)
            old, new = sorted((size, number + 1))
            verdict = with_kept(verdict, HONEST.kept(size), HONEST.proof(old, new))
            verdict = of_request(verdict, str(verdict.body["request_id"]))
            verdict = of_subject(verdict, user_id, salt_of(user_id).hex())
            assert verdict.checks == (
                "canonical bytes",
                "signature",
                "checkpoint",
                "inclusion",
                "consistency",
                "request",
                "subject",
            )


@given(st.integers(0, len(USERS) - 1), st.data())
def test_a_changed_byte_anywhere_in_receipt_proof_or_checkpoint(number: int, data: st.DataObject) -> None:
    receipt = bytearray(HONEST.receipts[number])
    receipt[data.draw(st.integers(0, len(receipt) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(VerificationError):
        judge(bytes(receipt), PUBLIC)


def test_a_receipt_that_was_never_entered() -> None:
    with pytest.raises(VerificationError, match="place in the log"):
        judge(receipt_of("never"), PUBLIC)


def test_a_receipt_under_the_place_of_another() -> None:
    stolen = json.loads(HONEST.receipts[3])["log"]
    for forged in (receipt_of("never"), receipt_of("ada")):
        with pytest.raises(VerificationError, match="inclusion"):
            judge(canonical_json({**json.loads(forged), "log": stolen}), PUBLIC)


def test_another_index_than_the_proofs() -> None:
    for index in (*range(6), 7, -1, 2**64):
        with pytest.raises(VerificationError, match="inclusion"):
            judge(changed(HONEST.receipts[6], lambda log, index=index: log.update(index=index)), PUBLIC)  # type: ignore[misc]
    with pytest.raises(VerificationError, match="place in the log"):
        judge(changed(HONEST.receipts[6], lambda log: log.update(index=True)), PUBLIC)


def test_a_wrong_root_that_the_installation_signed() -> None:
    note = write_checkpoint(Checkpoint(size=4, root=bytes(32)), KEY)
    with pytest.raises(VerificationError, match="inclusion"):
        judge(changed(HONEST.receipts[3], lambda log: log.update(checkpoint=note)), PUBLIC)


def test_the_root_of_another_size() -> None:
    with pytest.raises(VerificationError, match="inclusion"):
        judge(changed(HONEST.receipts[3], lambda log: log.update(checkpoint=HONEST.notes[6])), PUBLIC)


def test_a_checkpoint_that_somebody_else_signed() -> None:
    note = write_checkpoint(HONEST.kept(4), Ed25519PrivateKey.generate())
    with pytest.raises(VerificationError, match="expected a checkpoint"):
        judge(changed(HONEST.receipts[3], lambda log: log.update(checkpoint=note)), PUBLIC)


@pytest.mark.parametrize("proof", [None, "text", [1], ["AA"], ["AA=="], {"a": "b"}, [["AAAA"]]])
def test_a_proof_of_another_form(proof: Json) -> None:
    with pytest.raises(VerificationError, match="proof"):
        judge(changed(HONEST.receipts[3], lambda log: log.update(inclusion=proof)), PUBLIC)


@pytest.mark.parametrize("proof", ["", {}, None])
def test_an_empty_proof_has_one_spelling(proof: Json) -> None:
    """The first receipt's proof has no hashes: nothing that merely is empty, too, may pass for it."""
    with pytest.raises(VerificationError, match="list of hashes"):
        judge(changed(HONEST.receipts[0], lambda log: log.update(inclusion=proof)), PUBLIC)


def test_a_receipt_passed_off_as_older_than_the_log() -> None:
    """The type is signed, so a receipt of today cannot become one; and one that is made up is in no log to compare."""
    document = json.loads(receipt_of("ada"))
    with pytest.raises(VerificationError):
        judge(canonical_json({**document, "body": {**document["body"], "type": UNLOGGED_TYPE}}), PUBLIC)
    made_up = judge(canonical_json(sign({**document["body"], "type": UNLOGGED_TYPE}, KEY)), PUBLIC)
    assert made_up.logged is None
    with pytest.raises(VerificationError, match="in no log"):
        with_kept(made_up, HONEST.kept(4), None)


def test_a_replayed_receipt_of_another_request() -> None:
    verdict = judge(HONEST.receipts[0], PUBLIC)
    with pytest.raises(VerificationError, match="request"):
        of_request(verdict, str(judge(HONEST.receipts[1], PUBLIC).body["request_id"]))


def test_a_replayed_receipt_of_another_customer_or_under_anothers_salt() -> None:
    verdict = judge(HONEST.receipts[0], PUBLIC)
    for user_id, salt in (("bo", salt_of("bo")), ("bo", salt_of("ada")), ("ada", salt_of("bo")), ("ada", b"")):
        with pytest.raises(VerificationError, match="subject"):
            of_subject(verdict, user_id, salt.hex())
    with pytest.raises(InputError, match="hex") as refused:
        of_subject(verdict, "ada", "not the salt")
    assert "ada" not in str(refused.value)


def forked(size: int) -> Log:
    """Another log, which tells another story of the receipt before the one at this size."""
    log = Log().add(*(receipt_of(user_id) for user_id in USERS[: size - 1]))
    log.add(receipt_of(USERS[size - 1], reason="another story"))
    return log.add(*(receipt_of(user_id) for user_id in USERS[size:]))


@pytest.mark.parametrize("size", range(1, len(USERS) + 1))
def test_a_forked_log_with_two_roots_for_one_size(size: int) -> None:
    seen = judge(forked(size).receipts[size - 1], PUBLIC)
    with pytest.raises(VerificationError, match="forked"):
        with_kept(seen, HONEST.kept(size), None)


@pytest.mark.parametrize("size", range(1, len(USERS)))
def test_a_forked_log_whose_ends_do_not_hang_together(size: int) -> None:
    """Neither log's proof helps, nor does one made of both."""
    fork = forked(size)
    seen = judge(fork.receipts[-1], PUBLIC)
    for proof in (HONEST.proof(size, len(USERS)), fork.proof(size, len(USERS))):
        with pytest.raises(VerificationError, match="forked"):
            with_kept(seen, HONEST.kept(size), proof)


@pytest.mark.parametrize("size", range(2, len(USERS) + 1))
def test_a_log_that_was_cut_and_grown_again(size: int) -> None:
    """As after a backup was restored: the auditor kept a checkpoint of what is no longer there."""
    regrown = Log().add(*(receipt_of(user_id) for user_id in USERS[: size - 1]))
    regrown.add(receipt_of("late"), receipt_of("later"), receipt_of("latest"))
    seen = judge(regrown.notes[-1].encode(), PUBLIC)
    with pytest.raises(VerificationError, match="forked"):
        with_kept(seen, HONEST.kept(size), regrown.proof(size, len(regrown.receipts)))


def test_a_log_that_was_cut_and_not_grown_again_has_no_proof_to_give() -> None:
    """The auditor's checkpoint is the larger one: the log that is left cannot prove that it continues in it."""
    cut = judge(HONEST.notes[3].encode(), PUBLIC)
    with pytest.raises(InputError, match="from 4 to 6"):
        with_kept(cut, HONEST.kept(6), None)


def test_a_dropped_or_reordered_entry() -> None:
    for users in (USERS[1:], (*USERS[1::-1], *USERS[2:])):
        other = Log().add(*(receipt_of(user_id) for user_id in users), receipt_of("more"), receipt_of("yet more"))
        seen = judge(other.receipts[-1], PUBLIC)
        with pytest.raises(VerificationError, match="forked"):
            with_kept(seen, HONEST.kept(5), other.proof(5, len(other.receipts)))


@pytest.mark.parametrize(
    ("proof", "problem"),
    [
        (b"", "JSON"),
        (b"[]", "JSON"),
        (b'{"from": 3}', "JSON"),
        (b"[" * 100_000, "JSON"),
        (b'{"from": 3, "to": 6, "proof": []}', "other sizes"),
        (None, "got none"),
    ],
)
def test_a_consistency_file_that_is_something_else_is_bad_input(proof: bytes | None, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        with_kept(judge(HONEST.receipts[6], PUBLIC), HONEST.kept(3), proof)


def test_a_consistency_file_without_hashes_proves_nothing() -> None:
    for proof in (b'{"from": 3, "to": 7}', b'{"from": 3, "to": 7, "proof": []}', b'{"from": 3, "to": 7, "proof": [1]}'):
        with pytest.raises(VerificationError, match="proof"):
            with_kept(judge(HONEST.receipts[6], PUBLIC), HONEST.kept(3), proof)


def answer(n_versions: int, first: str = "released again") -> dict[str, Json]:
    """What `/v1/erasures/REQUEST` says of an erasure from so many versions."""
    outcomes: list[Json] = [{"outcome": first}]
    outcomes += [{"outcome": f"withdrawn {number}"} for number in range(n_versions)]
    return {"request_id": "r", "state": "receipted", "details": {"released": {"versions": outcomes}}}


@pytest.mark.parametrize("n_versions", [2, 100])
def test_other_details_than_those_that_were_signed(n_versions: int) -> None:
    """Whether the receipt holds the list of versions or its digest."""
    honest, other = answer(n_versions), answer(n_versions, first="kept")
    request = replace(request_of("ada"), details=cast("dict[str, Json]", honest["details"]))
    [receipt] = Log().add(write_receipt(request, completed_at=NOON, signing_key=KEY)).receipts
    verdict = judge(receipt, PUBLIC)

    assert of_details(verdict, json.dumps(honest).encode()).checks[-1] == "details"
    for details in (other, answer(n_versions - 1), answer(0)):
        with pytest.raises(VerificationError, match="steps"):
            of_details(verdict, json.dumps(details).encode())
    for no_answer in (b"", b"[]", b'{"details": 1}', b'{"details": {"a": NaN}}', b'{"details": {}'):
        with pytest.raises(InputError, match="JSON"):
            of_details(verdict, no_answer)


def test_a_report_or_checkpoint_is_nobodys_receipt() -> None:
    checkpoint: Verdict = judge(HONEST.notes[0].encode(), PUBLIC)
    assert (checkpoint.kind, checkpoint.body, checkpoint.logged) == ("checkpoint", {}, None)
    with pytest.raises(VerificationError, match="request"):
        of_request(checkpoint, "request")
    with pytest.raises(VerificationError, match="subject"):
        of_subject(checkpoint, "ada", salt_of("ada").hex())


def test_leaves_of_customers_with_one_id_differ() -> None:
    """Whoever guesses an id cannot look for it in the log: each leaf is under a salt and a signature."""
    again = json.loads(receipt_of("ada"))["body"] | {"subject": subject_commitment("ada", b"another salt 16b")}
    log = Log().add(receipt_of("ada"), canonical_json(sign(again, KEY)))
    assert log.nodes[0, 0] != log.nodes[0, 1]
