from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from recsys.errors import ArtifactError
from recsys.models.factors import TENSORS, ItemFactors

WORDS = ("milk", "bread", "käse")


def model_of_three_items() -> ItemFactors:
    table = np.arange(6, dtype=np.float32).reshape(3, 2)
    return ItemFactors(
        item_ids=WORDS,
        encoder=table * np.float32(0.1),
        factors=table,
        item_weights=np.array([0.5, 1.0, 0.0], dtype=np.float32),
        popularity=np.array([7.0, 3.0, 0.0], dtype=np.float32),
    )


def test_a_model_reads_back_from_its_bytes(model: ItemFactors) -> None:
    other = replace(model, regularization=2.5, alpha=3.0)
    for one in (model, other, model_of_three_items()):
        again = ItemFactors.from_bytes(one.to_bytes())
        assert again.to_bytes() == one.to_bytes()
        assert again.digest == one.digest
        assert (again.item_ids, again.regularization, again.alpha) == (one.item_ids, one.regularization, one.alpha)
        for name in TENSORS:
            assert getattr(again, name).tobytes() == getattr(one, name).tobytes()


@pytest.mark.parametrize(
    "change",
    [
        {"item_ids": ("milk", "bread", "kase")},
        {"encoder": np.zeros((3, 2), np.float32)},
        {"factors": np.zeros((3, 2), np.float32)},
        {"item_weights": np.zeros(3, np.float32)},
        {"popularity": np.zeros(3, np.float32)},
        {"regularization": 1.0},
        {"alpha": 2.0},
    ],
)
def test_the_digest_names_every_field(change: dict[str, object]) -> None:
    changed = replace(model_of_three_items(), **change)  # type: ignore[arg-type]
    assert changed.digest != model_of_three_items().digest


@given(cut=st.floats(0, 1, exclude_max=True))
def test_a_cut_file_is_refused(cut: float) -> None:
    data = model_of_three_items().to_bytes()
    with pytest.raises(ArtifactError, match="the file was cut or changed"):
        ItemFactors.from_bytes(data[: int(cut * len(data))])


@settings(max_examples=200)
@given(data=st.data())
def test_a_changed_byte_is_refused_or_makes_another_model(data: st.DataObject) -> None:
    model = model_of_three_items()
    changed = bytearray(model.to_bytes())
    position = data.draw(st.integers(0, len(changed) - 1))
    changed[position] ^= data.draw(st.sampled_from([1, 2, 16, 128]))
    try:
        other = ItemFactors.from_bytes(bytes(changed))
    except ArtifactError:
        return
    assert other.digest != model.digest


@pytest.mark.parametrize("garbage", [b"", b"not a model", bytes(1000)])
def test_what_is_no_model_is_refused(garbage: bytes) -> None:
    with pytest.raises(ArtifactError, match="safetensors"):
        ItemFactors.from_bytes(garbage)


@pytest.mark.parametrize("header", [b"[]", b"7", b'{"item_ids": 3}', b"{}", b"\xff", b'{"item_ids": ["a"]}'])
def test_a_header_that_is_not_ours_is_refused(header: bytes) -> None:
    tensors = load(model_of_three_items().to_bytes()) | {"header": np.frombuffer(header, dtype=np.uint8)}
    with pytest.raises(ArtifactError):
        ItemFactors.from_bytes(save(tensors))


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_that_is_missing_or_unknown_is_refused(name: str) -> None:
    tensors = load(model_of_three_items().to_bytes())
    with pytest.raises(ArtifactError):
        ItemFactors.from_bytes(save({key: value for key, value in tensors.items() if key != name}))
    with pytest.raises(ArtifactError):
        ItemFactors.from_bytes(save({**tensors, f"another_{name}": tensors[name]}))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", TENSORS)
def test_a_number_that_is_not_finite_is_refused(name: str, bad: float) -> None:
    tensor = getattr(model_of_three_items(), name).copy()
    tensor.flat[-1] = bad
    with pytest.raises(ArtifactError, match=f"expected {name} to be finite float32"):
        replace(model_of_three_items(), **{name: tensor})


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_of_another_shape_or_kind_is_refused(name: str) -> None:
    tensor = getattr(model_of_three_items(), name)
    for other in (tensor[:2], tensor[..., None], tensor.astype(np.float64), tensor.astype(np.int32)):
        with pytest.raises(ArtifactError, match=f"expected {name}"):
            replace(model_of_three_items(), **{name: other})


def test_encoder_and_factors_have_one_shape() -> None:
    with pytest.raises(ArtifactError, match="encoder and factors of one shape"):
        replace(model_of_three_items(), encoder=np.zeros((3, 5), np.float32))


def test_nobody_can_write_into_a_model(model: ItemFactors) -> None:
    for one in (model, ItemFactors.from_bytes(model.to_bytes())):
        for name in TENSORS:
            with pytest.raises(ValueError, match="read-only"):
                getattr(one, name)[0] = 1
