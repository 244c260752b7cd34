from __future__ import annotations

import pytest
import torch

from cdsrcodec.layers.blocks import at_level
from cdsrcodec.models.cdsr1 import (
    LEVELS,
    LMBDAS,
    AnalysisTransform,
    Decoder,
    Encoder,
    HyperAnalysis,
    QualityTables,
    SynthesisTransform,
    lmbda_at,
)


def test_analysis_divides_the_sides_by_16_and_synthesis_multiplies_them_again() -> None:
    x = torch.rand(2, 3, 32, 48)
    scale8, scale16 = torch.ones(2, 128, 1, 1), torch.ones(2, 224, 1, 1)
    y = AnalysisTransform()(x, scale8)
    assert y.shape == (2, 224, 2, 3)
    g_s = SynthesisTransform()
    assert g_s(y, scale16, scale8).shape == x.shape
    features4 = g_s.features4(y, scale16, scale8)
    assert features4.shape == (2, 64, 8, 12)
    assert torch.equal(g_s.to_pixels(features4), g_s(y, scale16, scale8))


@pytest.mark.parametrize(("size", "hyper"), [((1, 1), (1, 1)), ((4, 5), (1, 2)), ((9, 8), (3, 2))])
def test_hyper_analysis_divides_by_4_and_rounds_up(
    size: tuple[int, int], hyper: tuple[int, int]
) -> None:
    assert HyperAnalysis()(torch.zeros(1, 224, *size)).shape == (1, 128, *hyper)


def test_lmbdas_are_the_table_at_whole_levels_and_geometric_between() -> None:
    levels = torch.tensor([0.0, 3.0, 7.0, 2.5, 8.0])
    between = (LMBDAS[2] * LMBDAS[3]) ** 0.5
    expected = [LMBDAS[0], LMBDAS[3], LMBDAS[7], between, LMBDAS[7]]
    assert lmbda_at(levels).tolist() == pytest.approx(expected, rel=1e-5)


def test_gain_and_its_inverse_cancel_but_for_the_correction() -> None:
    tables = QualityTables()
    level = torch.tensor([0.0, 2.25, 7.0])
    assert torch.allclose(tables.gain(level) * tables.inverse_gain(level), torch.ones(1), atol=1e-5)
    with torch.no_grad():
        tables.log_gain_correction.fill_(0.5)
    product = tables.gain(level) * tables.inverse_gain(level)
    assert torch.allclose(product, torch.tensor(0.5).exp(), atol=1e-5)


def test_a_higher_quality_starts_with_a_finer_step() -> None:
    gains = QualityTables().gain(torch.arange(LEVELS).float())[:, 0, 0, 0].tolist()
    assert gains == sorted(gains)
    assert gains[3] == pytest.approx(1)


def test_decoder_conditions_its_synthesis_on_the_quality() -> None:
    torch.manual_seed(0)
    decoder = Decoder().eval()
    with torch.no_grad():
        decoder.g_s_scale16[7] = 3.0
        decoder.g_s_scale8[7] = 0.5
        y_hat, level = torch.randn(1, 224, 2, 1), torch.tensor([6.5])
        expected = decoder.g_s(
            y_hat, torch.full((1, 224, 1, 1), 2.0), torch.full((1, 128, 1, 1), 0.75)
        )
        assert torch.allclose(decoder(y_hat, level), expected, atol=1e-6)


def test_decoder_undoes_the_gain_as_the_quality_tables_do() -> None:
    torch.manual_seed(0)
    tables, decoder, level = QualityTables(), Decoder(), torch.tensor([4.75])
    with torch.no_grad():
        tables.log_gain_correction.normal_()
        decoder.log_gain_correction.copy_(tables.log_gain_correction)
        decoder.log_gain.copy_(tables.log_gain)
        ones = torch.ones(1, 224, 1, 1)
        assert torch.equal(decoder.dequantise(ones, level), tables.inverse_gain(level))


def test_encoder_holds_its_own_quality_table_alone() -> None:
    names = {name.split(".")[0] for name, _ in Encoder().named_parameters()}
    assert names == {"g_a", "h_a", "g_a_scale8"}
    assert at_level(Encoder().g_a_scale8, torch.tensor([1.0])).shape == (1, 128, 1, 1)
