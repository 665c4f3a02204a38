"""The output head on chosen positions only: at a large vocabulary the logits of a prompt are most of the memory."""

from __future__ import annotations

from collections.abc import Callable

import torch


def logits_at(model, keep: torch.Tensor, forward: Callable[[], object]) -> tuple[object, torch.Tensor]:
    """Run `forward`, with the model's head on the kept positions only.

    What the model does to its logits (scaling, soft caps) is done to these too. A model whose head is not one
    module gives all logits, of which the kept are taken.

    Args:
        model: the bare causal LM. keep: [rows, positions], bool.
        forward: runs the model, wrapped or not, without labels, over inputs [rows, positions].

    Returns:
        (the model's outputs, logits [kept positions, vocabulary] in row-major order).
    """
    head = model.get_output_embeddings()
    narrowed = []

    def narrow(module, inputs):
        if inputs and inputs[0].shape[:2] == keep.shape:
            narrowed.append(True)
            return (inputs[0][keep].unsqueeze(0), *inputs[1:])
        return None

    handle = head.register_forward_pre_hook(narrow) if isinstance(head, torch.nn.Module) else None
    try:
        outputs = forward()
    finally:
        if handle is not None:
            handle.remove()
    return outputs, outputs.logits[0] if narrowed else outputs.logits[keep]
