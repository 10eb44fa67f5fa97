"""Signed documents as files: canonical bytes, one signature, one of the types that the reader asked for."""

import json
from collections.abc import Mapping
from typing import cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from recsys.errors import InputError, VerificationError
from recsys.evidence.canonical import canonical_json
from recsys.evidence.signing import Document, verify


def read_signed(data: bytes, public_key: Ed25519PublicKey, types: Mapping[str, str]) -> Document:
    """The body of the document, once it is found to be canonical, signed by this key and of one of the types.

    Args:
        data: the file
        public_key: of the installation that is said to have written it
        types: each type that is accepted, and what such a document is called

    Raises:
        VerificationError: the bytes are something else; one changed byte is enough.
    """
    return signed_body(canonical_document(data, " or ".join(types.values())), public_key, types)


def signed_body(document: Document, public_key: Ed25519PublicKey, types: Mapping[str, str]) -> Document:
    """The body of the document, once it is found to be signed by this key and of one of the types.

    Raises:
        VerificationError: it is not.
    """
    body = verify(document, public_key)
    if body.get("type") not in types:
        msg = (
            f"expected a document of type {' or '.join(types)}, got {body.get('type')!r}; "
            f"it is signed, but it is not {' or '.join(dict.fromkeys(types.values()))}"
        )
        raise VerificationError(msg)
    return body


def canonical_document(data: bytes, what: str) -> Document:
    """The JSON object that these bytes, but for a new line at their end, are the canonical bytes of.

    Raises:
        VerificationError: there is none; `what` says what was expected.
    """
    try:
        document = json.loads(data)
        canonical = canonical_json(document)
    except (ValueError, RecursionError, InputError) as error:
        msg = f"expected {what} as JSON, got bytes that do not parse; the file was changed or cut"
        raise VerificationError(msg) from error
    if not isinstance(document, dict) or canonical != data.rstrip(b"\n"):
        msg = f"expected the canonical bytes of {what}, got another spelling; use the file as it was written"
        raise VerificationError(msg)
    return cast("Document", document)
