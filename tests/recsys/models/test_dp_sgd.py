"""Private gradient descent: accounting anywhere; sampling, clipping, noise and division where torch is installed."""

import importlib.util
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent, rdp
from dp_accounting.pld import PLDAccountant
from numpy.typing import NDArray
from scipy import stats

from recsys.errors import InputError
from recsys.models import dp_sgd
from recsys.models.dp_sgd import (
    Descent,
    DPSGDConfig,
    calibrated_noise_multiplier,
    customer_vectors,
    epsilon_of_training,
    generator,
    require_torch,
    train_dp_sgd,
    training_event,
)
from recsys.models.ranking import model_scores
from recsys.privacy.accounting import compose, epsilon_of, mu_of
from tests.recsys.models.shops import catalogue, purchases_of

DELTA = 1e-6
FALSE_ALARM = 1e-4
CONFIG = DPSGDConfig(factors=3, least_count=0, steps=8)
N_ITEMS = 12

Matrix = NDArray[np.float64]


def seeded(seed: int = 0) -> Callable[[int], bytes]:
    return np.random.default_rng(seed).bytes


@pytest.fixture
def torch() -> Any:
    """Torch, where it is installed together with Opacus: the extra `dp`."""
    pytest.importorskip("opacus", reason="Opacus is not installed: pip install 'privrec[dp]'")
    return pytest.importorskip("torch", reason="torch is not installed: pip install 'privrec[dp]'")


def descent(
    config: DPSGDConfig = CONFIG,
    *,
    noise_multiplier: float = 0.0,
    first: Matrix | None = None,
    expected_customers: int = 40,
    seed: int = 0,
) -> Descent:
    start = np.random.default_rng(3).standard_normal((N_ITEMS, 3)) if first is None else first
    return Descent(start, noise_multiplier, config, expected_customers=expected_customers, entropy=seeded(seed))


def shop(rng: np.random.Generator, n_customers: int = 30) -> sp.csr_matrix:
    return sp.csr_matrix((rng.random((n_customers, N_ITEMS)) < 0.4).astype(np.float64))


def gradient_by_the_book(own: Matrix, factors: Matrix, config: DPSGDConfig) -> Matrix:
    """One customer's gradient, clipped."""
    alpha, ridge = config.unobserved_weight, config.regularization * np.eye(factors.shape[1])
    vector = np.linalg.solve(factors.T @ np.diag(own + alpha) @ factors + ridge, factors.T @ own)
    scores = factors @ vector
    gradient = np.outer(own * (scores - 1) + alpha * scores, vector)
    return gradient * min(1.0, config.clip_norm / max(float(np.linalg.norm(gradient)), 1e-300))


def moved(taken: Descent, bought: sp.csr_matrix, learning_rate: float = 1.0) -> Matrix:
    """What one step takes away from the item factors."""
    before = taken.item_factors.copy()
    taken.step(bought, learning_rate=learning_rate)
    return before - taken.item_factors


# Accounting: needs no torch.


@pytest.mark.parametrize(("epsilon", "trainings"), [(0.5, 1), (1.0, 1), (4.0, 3), (50.0, 1)])
def test_the_noise_is_calibrated_to_epsilon_by_dp_accounting(epsilon: float, trainings: int) -> None:
    counts, steps = 1 / (mu_of(epsilon, DELTA) * math.sqrt(0.03 / trainings)), 60
    noise = calibrated_noise_multiplier(
        epsilon, DELTA, counts_noise_multiplier=counts, sampling_probability=0.25, steps=steps, trainings=trainings
    )

    def spent(noise_multiplier: float) -> float:
        accountant = PLDAccountant(value_discretization_interval=2e-4 * max(1.0, epsilon / 8))
        step = PoissonSampledDpEvent(0.25, GaussianDpEvent(noise_multiplier))
        accountant.compose(SelfComposedDpEvent(GaussianDpEvent(counts), trainings))
        accountant.compose(SelfComposedDpEvent(step, steps * trainings))
        return float(accountant.get_epsilon(DELTA))

    assert 0.99 * epsilon < spent(noise) <= epsilon
    # a twin with a tenth less noise is over budget
    assert spent(0.9 * noise) > 1.05 * epsilon


def test_renyi_accounting_never_promises_more() -> None:
    event = training_event(3.0, counts_noise_multiplier=9.0, sampling_probability=0.25, steps=100)
    assert epsilon_of_training(event, DELTA) < rdp.RdpAccountant().compose(event).get_epsilon(DELTA)


def test_with_everybody_in_every_sample_the_accounting_is_the_closed_form() -> None:
    event = training_event(9.0, counts_noise_multiplier=20.0, sampling_probability=1.0, steps=50)
    exact = epsilon_of(compose([20.0, 9.0 / math.sqrt(50)]), DELTA)
    assert exact <= epsilon_of_training(event, DELTA) < 1.001 * exact


@pytest.mark.parametrize("epsilon", [65.0, 200.0, 1e6])
def test_at_a_weak_epsilon_sampling_is_not_counted_on(epsilon: float) -> None:
    counts = 1 / (mu_of(epsilon, DELTA) * math.sqrt(0.03))
    noise = calibrated_noise_multiplier(
        epsilon, DELTA, counts_noise_multiplier=counts, sampling_probability=0.25, steps=100
    )
    assert compose([counts, noise / 10]) == pytest.approx(mu_of(0.999 * epsilon, DELTA), rel=1e-9)


def test_no_privacy_draws_no_noise() -> None:
    assert (
        calibrated_noise_multiplier(math.inf, DELTA, counts_noise_multiplier=0.0, sampling_probability=0.25, steps=100)
        == 0
    )


def test_the_settings_are_public_and_bounded() -> None:
    configs = [DPSGDConfig.under(noise) for noise in (1e3, 4.2, 0.65, 1e-3, 0.0)]
    assert all(1 <= one.steps <= 256 and 1 <= one.factors <= 64 for one in configs)
    # the sampler compares q with 24 bits of a uniform number
    assert all((one.sampling_probability * 2**24).is_integer() for one in configs)


def test_without_torch_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"without torch and opacus; install them: pip install 'privrec\[dp\]'"):
        require_torch()
    with pytest.raises(InputError, match=r"privrec\[dp\]"):
        train_dp_sgd(purchases_of([[0]], 2), catalogue(2), np.ones(2), 1.0, CONFIG, expected_customers=10)


# The descent: needs torch.


def test_a_step_is_the_sum_of_the_clipped_gradients_over_what_was_expected(
    torch: Any, rng: np.random.Generator
) -> None:
    bought = shop(rng)
    taken = descent()
    first = taken.item_factors.copy()
    total = sum(gradient_by_the_book(row, first, CONFIG) for row in bought.toarray())
    scale = CONFIG.clip_norm * CONFIG.sampling_probability * 40
    np.testing.assert_allclose(moved(taken, bought), total / scale, rtol=1e-4)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_no_customer_moves_the_sum_by_more_than_the_clipping_norm(
    torch: Any, rng: np.random.Generator, scale: float
) -> None:
    first = scale * rng.standard_normal((N_ITEMS, 3))
    everyone = shop(rng, 10)
    unit = CONFIG.clip_norm * CONFIG.sampling_probability * 40

    def sum_of(rows: sp.csr_matrix) -> Matrix:
        return moved(descent(first=first), rows) * unit

    whole = sum_of(everyone)
    differences = [
        float(np.linalg.norm(whole - sum_of(everyone[np.arange(10) != row]))) / CONFIG.clip_norm for row in range(10)
    ]
    assert max(differences) <= 1 + 1e-9
    if scale == 1:
        assert max(differences) > 0.95


def test_gradients_that_are_not_clipped_are_found(
    torch: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, one = rng.standard_normal((N_ITEMS, 3)), shop(rng, 1)
    unit = CONFIG.clip_norm * CONFIG.sampling_probability * 40
    taken = descent(first=first)
    assert np.linalg.norm(moved(taken, one) * unit) <= CONFIG.clip_norm
    broken = descent(first=first)
    monkeypatch.setattr(broken._module, "max_grad_norm", 1e9)
    assert np.linalg.norm(moved(broken, one) * unit) > 2 * CONFIG.clip_norm


def test_the_sum_is_divided_by_a_public_number_whatever_the_sample(torch: Any, rng: np.random.Generator) -> None:
    bought = shop(rng)
    few, many = moved(descent(expected_customers=40), bought), moved(descent(expected_customers=400), bought)
    np.testing.assert_allclose(few, 10 * many, rtol=1e-9)
    # twice the same customers give twice the step: nothing is divided by how many came
    twice = moved(descent(), sp.vstack([bought, bought]).tocsr())
    np.testing.assert_allclose(twice, 2 * few, rtol=1e-9)


def test_the_noise_is_gaussian_at_the_stated_scale_and_added_once(torch: Any) -> None:
    nobody = sp.csr_matrix((0, 300))
    config = replace(CONFIG, momentum=0.0)

    def keeps_its_word(noise_multiplier: float, n_customers: int = 0) -> bool:
        taken = descent(config, noise_multiplier=noise_multiplier, first=np.zeros((300, 40)))
        # at factors of zero every gradient is zero
        bought = sp.csr_matrix((n_customers, 300)) if n_customers else nobody
        noise = moved(taken, bought).ravel() * config.sampling_probability * 40 / 3.0
        below = stats.chi2.cdf((noise**2).sum(), len(noise))
        return bool(min(stats.kstest(noise, "norm").pvalue, 2 * below, 2 * (1 - below)) > FALSE_ALARM)

    assert keeps_its_word(3.0)
    assert keeps_its_word(3.0, n_customers=2 * dp_sgd.CUSTOMERS_AT_ONCE + 1)
    assert not keeps_its_word(0.9 * 3.0)
    assert not keeps_its_word(1.1 * 3.0)


def test_an_empty_sample_moves_nothing_but_by_noise(torch: Any) -> None:
    nobody = sp.csr_matrix((0, N_ITEMS))
    assert not moved(descent(), nobody).any()
    assert moved(descent(noise_multiplier=1.0), nobody).all()


def test_a_large_sample_in_parts_is_the_sample_at_once(
    torch: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bought = shop(rng)
    at_once = [moved(taken, bought) for taken in [descent(noise_multiplier=1.0)] for _ in range(3)]
    monkeypatch.setattr(dp_sgd, "CUSTOMERS_AT_ONCE", 7)
    in_parts = [moved(taken, bought) for taken in [descent(noise_multiplier=1.0)] for _ in range(3)]
    np.testing.assert_allclose(in_parts, at_once, rtol=1e-9)


def test_customers_are_sampled_one_by_one_with_the_stated_probability(torch: Any) -> None:
    n_customers, steps = 200, 400
    samples = list(descent(replace(CONFIG, steps=steps)).samples(n_customers))
    assert len(samples) == steps
    taken = np.zeros((steps, n_customers), dtype=bool)
    for row, sample in zip(taken, samples, strict=True):
        row[sample] = True
    sizes = taken.sum(axis=1)
    # sizes vary as those of independent draws do: a fixed batch size, or one pass over a shuffled set, would not
    assert stats.binomtest(int(taken.sum()), taken.size, CONFIG.sampling_probability).pvalue > FALSE_ALARM
    expected = n_customers * CONFIG.sampling_probability * (1 - CONFIG.sampling_probability)
    below = stats.chi2.cdf((steps - 1) * sizes.var(ddof=1) / expected, steps - 1)
    assert FALSE_ALARM < below < 1 - FALSE_ALARM
    assert abs(np.corrcoef(taken[:-1].ravel(), taken[1:].ravel())[0, 1]) < 0.02


def test_a_single_customer_is_missing_from_most_samples(torch: Any) -> None:
    samples = list(descent(replace(CONFIG, steps=400)).samples(1))
    assert 60 < sum(len(sample) for sample in samples) < 140


def test_what_others_bought_does_not_change_a_customers_vector(torch: Any, rng: np.random.Generator) -> None:
    """There is no padding: a customer with one item beside one with all of them is solved as if alone."""
    factors = torch.from_numpy(rng.standard_normal((N_ITEMS, 3)))
    own = torch.from_numpy(purchases_of([[3], range(N_ITEMS), []], N_ITEMS).toarray().astype(np.float64))
    together = customer_vectors(factors, own, CONFIG)
    for row in range(3):
        np.testing.assert_allclose(together[row], customer_vectors(factors, own[row : row + 1], CONFIG)[0], atol=1e-12)
    assert not together[2].any()


def test_the_generator_takes_every_word_of_its_state_from_the_entropy(torch: Any) -> None:
    asked = []

    def entropy(size: int) -> bytes:
        asked.append(size)
        return seeded(1)(size)

    draws = torch.rand(1000, generator=generator(entropy))
    assert asked == [624 * 4]
    assert stats.kstest(draws.numpy(), "uniform").pvalue > FALSE_ALARM
    assert torch.equal(draws, torch.rand(1000, generator=generator(seeded(1))))

    def one_bit_off(size: int) -> bytes:
        words = bytearray(seeded(1)(size))
        words[-1] ^= 0x80
        return bytes(words)

    # a seed of torch's own has 32 bits: what differs in the last of 19,968 would be lost
    assert not torch.equal(draws, torch.rand(1000, generator=generator(one_bit_off)))


def test_sampling_and_noise_have_randomness_of_their_own(torch: Any) -> None:
    taken = descent(noise_multiplier=1.0)
    assert not torch.equal(taken._sampling.get_state(), taken._optimizer.generator.get_state())


def test_it_learns_the_tastes_of_a_shop_and_keeps_nobodys_vector(torch: Any, purchased: sp.csr_matrix) -> None:
    config = DPSGDConfig(factors=4, least_count=0, steps=80, clip_norm=1.0, initial_scale=0.1)
    counts = np.asarray(purchased.sum(axis=0)).ravel()
    model = train_dp_sgd(purchased, catalogue(30), counts, 0.0, config, expected_customers=90, entropy=seeded())
    scores = model_scores(model, purchased)
    likes = np.arange(90)[:, None] % 3 == np.arange(30) % 3
    best = np.argsort(-np.where(purchased.toarray() > 0, -np.inf, scores), axis=1)[:, :3]
    assert np.take_along_axis(likes, best, axis=1).mean() > 0.9
    tables = (model.encoder, model.factors, model.item_weights, model.popularity)
    assert [len(table) for table in tables] == [30] * 4


def test_one_stream_of_entropy_gives_one_model(torch: Any, purchased: sp.csr_matrix) -> None:
    digests = [
        train_dp_sgd(
            purchased, catalogue(30), np.ones(30), 1.0, CONFIG, expected_customers=90, entropy=seeded(seed)
        ).digest
        for seed in (1, 1, 2)
    ]
    assert digests[0] == digests[1] != digests[2]
