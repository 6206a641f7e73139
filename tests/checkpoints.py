"""Tiny checkpoints of pretrained models, made and saved here: nobody trained them."""

from statistics import NormalDist

from nextday.models.foundation import DECILES


def save_bolt(folder, *, levels=DECILES, width=64, seed=0, crossing=False):
    """Save a Chronos-Bolt that nobody trained: random but for the biases, which put its quantiles in their order."""
    import torch
    from chronos.chronos_bolt import ChronosBoltModelForForecasting
    from transformers import T5Config

    torch.manual_seed(seed)
    settings = {
        "context_length": 64, "prediction_length": 4, "input_patch_size": 8, "input_patch_stride": 8,
        "quantiles": list(levels), "use_reg_token": True,
    }  # fmt: skip
    config = T5Config(
        d_model=width, d_ff=64, d_kv=16, num_heads=2, num_layers=2, num_decoder_layers=2, vocab_size=2,
        decoder_start_token_id=0, dropout_rate=0.1, initializer_factor=0.05 if not crossing else 1.0, chronos_config=settings,
        chronos_pipeline_class="ChronosBoltPipeline", architectures=["ChronosBoltModelForForecasting"],
    )  # fmt: skip
    model = ChronosBoltModelForForecasting(config)
    with torch.no_grad():
        for layer in (model.output_patch_embedding.hidden_layer, model.input_patch_embedding.hidden_layer):
            layer.weight.mul_(10)  # so that the context shows
        bias = torch.tensor([NormalDist().inv_cdf(level) for level in levels]).repeat_interleave(4)
        model.output_patch_embedding.residual_layer.bias.copy_(bias)
    model.save_pretrained(folder)
    return folder
