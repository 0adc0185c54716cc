from __future__ import annotations

import pytest
import torch

from rmtl_bench.contracts import FieldEmbedding, ParallelMLP, UsageError
from rmtl_bench_backbones.shared_bottom import SharedBottom


def test_without_an_interaction_a_seed_draws_what_the_parts_alone_would_draw(make_schema):
    schema = make_schema(2, numerical=("price",))
    torch.manual_seed(3)
    parts = FieldEmbedding(schema, 4), ParallelMLP(1, 16, (6, 5), dropout=0.2)
    towers = ParallelMLP(2, 5, (3,), dropout=0.2, output=1)
    torch.manual_seed(3)
    model = SharedBottom(schema, 4, (6, 5), (3,))
    expected = [p for part in (*parts, towers) for p in part.parameters()]
    assert [p.shape for p in model.parameters()] == [p.shape for p in expected]
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), expected, strict=True))


def test_without_an_interaction_the_network_gets_the_vectors_as_they_are(make_schema, make_batch, make_model):
    schema = make_schema()
    model, batch = make_model("shared-bottom", schema).eval(), make_batch(schema)
    assert torch.equal(model(batch), model.network(model.embedding(batch))[0])


@pytest.mark.parametrize("interaction", ["dcn-v2", "deepfm"])
def test_an_interaction_changes_the_prediction(interaction, make_schema, make_batch, make_model):
    schema = make_schema()
    plain = make_model("shared-bottom", schema).eval()
    model = make_model("shared-bottom", schema, 1, interaction=interaction).eval()
    assert not model.load_state_dict(plain.state_dict(), strict=False).unexpected_keys
    batch = make_batch(schema)
    assert not torch.allclose(model(batch), plain(batch))


def test_an_unknown_interaction_is_refused(make_schema):
    with pytest.raises(UsageError, match="interaction 'dcn' is none of mlp, dcn-v2, deepfm"):
        SharedBottom(make_schema(), interaction="dcn")
