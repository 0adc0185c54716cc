from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch


@pytest.mark.parametrize("numerical", [(), ("price", "age")])
def test_it_adds_single_fields_and_pairs_to_the_networks_logits(numerical, make_schema, make_batch, make_model):
    schema = make_schema(3, numerical=numerical)
    model = make_model("shared-bottom", schema, interaction="deepfm").eval().double()
    torch.nn.init.normal_(model.interaction.readout)
    batch = make_batch(schema)
    batch = replace(batch, numerical=batch.numerical.double())
    vectors = model.embedding(batch)
    wide = (model(batch) - model.network(vectors)[0]).detach().numpy()
    readout, table = (t.detach().numpy() for t in (model.interaction.readout, model.interaction.first_order.table))
    fields = vectors.detach().numpy().reshape(len(batch), -1, 4)
    starts = np.cumsum([0, 7, 5])
    for row in range(len(batch)):
        values = [int(start + value) for start, value in zip(starts, batch.categorical[row], strict=True)]
        for task in range(3):
            expected = sum(table[value, task] for value in values)
            if numerical:
                linear = model.interaction.first_order.numerical
                columns = batch.numerical[row].numpy()
                expected += columns @ linear.weight[task].detach().numpy() + linear.bias[task].item()
            for one, other in combinations(fields[row], 2):
                expected += sum(readout[task, d] * one[d] * other[d] for d in range(4))
            np.testing.assert_allclose(wide[row, task], expected, rtol=1e-9, atol=1e-12)


def test_every_task_starts_from_the_papers_sum_over_pairs(make_schema, make_batch, make_model):
    schema = make_schema(2, sizes=(2, 2))
    model = make_model("mmoe", schema, interaction="deepfm", embedding_dim=2).eval()
    batch = make_batch(schema, 1)
    with torch.no_grad():
        model.interaction.first_order.table.zero_()
    # One pair of fields: (1, 2) . (3, 4) = 11.
    wide = model.interaction.wide(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), batch)
    torch.testing.assert_close(wide, torch.tensor([[11.0, 11.0]]))


def test_first_order_weights_count_as_embeddings_and_the_readout_does_not(make_schema, make_model):
    model = make_model("mmoe", make_schema(2, numerical=("price",)), interaction="deepfm")
    embeddings = {id(p) for p in model.embedding_parameters()}
    assert {id(p) for p in model.interaction.first_order.parameters()} < embeddings
    assert id(model.interaction.readout) not in embeddings


def test_a_single_field_has_no_pairs(make_schema, make_batch, make_model):
    schema = make_schema(2, sizes=(5,))
    model, batch = make_model("mmoe", schema, interaction="deepfm"), make_batch(schema)
    wide = model.interaction.wide(model.embedding(batch), batch)
    assert torch.equal(wide, model.interaction.first_order(batch))
