"""One spelling for every JSON value."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.evidence.canonical import canonical_json, digest, json_digest

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_a_value_reads_back_as_itself(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


@given(st.dictionaries(TEXT, VALUES, min_size=2, max_size=5))
def test_the_order_of_keys_does_not_matter(value: Any) -> None:
    turned = dict(reversed(value.items()))
    assert canonical_json(turned) == canonical_json(value)


@given(VALUES, VALUES)
def test_values_with_equal_digests_are_equal(first: Any, second: Any) -> None:
    assert (json_digest(first) == json_digest(second)) == (canonical_json(first) == canonical_json(second))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": [1, 2.5, None], "a": True}, '{"a":true,"b":[1,2.5,null]}'),
        ('ö\n"', '"ö\\n\\""'),
        ({"é": 1, "e": 2, "": 3}, '{"":3,"e":2,"é":1}'),
        ([], "[]"),
    ],
)
def test_known_values_have_known_bytes(value: Any, text: Any) -> None:
    assert canonical_json(value) == text.encode()


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_cannot_say_is_refused(number: float) -> None:
    with pytest.raises(InputError, match="finite"):
        canonical_json({"epsilon": [number]})


def test_the_digest_is_sha_256() -> None:
    # FIPS 180-4 example, "abc"
    assert digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
