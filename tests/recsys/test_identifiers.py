import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.errors import InputError
from recsys.identifiers import check_event_id, check_item_id, check_user_id

REFUSED = {
    "empty": "",
    "too long": "x" * 257,
    "ten kilobytes": "secret" * 1700,
    "too long in bytes, not in characters": "é" * 129,
    "line feed": "secret\n",
    "null": "secret\x00",
    "delete": "secret\x7f",
    "C1 control": "secret\x85",
    "half a surrogate pair": "secret\ud800",
}


@pytest.mark.parametrize("check", [check_user_id, check_item_id, check_event_id])
@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_an_unusable_id_is_refused_and_not_repeated(check: object, text: str) -> None:
    assert callable(check)
    with pytest.raises(InputError) as refusal:
        check(text)
    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize("text", ["x", "x" * 256, "é" * 128, "17850", "ann@example.org", "zwei Wörter", "🛒"])
def test_an_id_within_the_rule_comes_back(text: str) -> None:
    assert check_user_id(text) == text


def test_two_spellings_of_one_id_are_one_customer() -> None:
    assert check_user_id("Zoe\u0308") == check_user_id("Zo\u00eb") == "Zo\u00eb"


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20))
def test_what_comes_back_is_in_normal_form_and_passes_again(text: str) -> None:
    checked = check_user_id(text)
    assert unicodedata.is_normalized("NFC", checked)
    assert check_user_id(checked) == checked


@given(st.text(max_size=5), st.characters(categories=["Cc"]), st.text(max_size=5))
def test_a_control_character_anywhere_is_refused(before: str, control: str, after: str) -> None:
    with pytest.raises(InputError):
        check_user_id(before + control + after)
