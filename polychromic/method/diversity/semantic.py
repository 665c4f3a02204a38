"""D in the space of sentence embeddings."""

from __future__ import annotations

from polychromic.method.diversity import DIVERSITY, GroupDiversity


@DIVERSITY.register("semantic")
class Semantic:
    """1 - cosine of sentence embeddings, for open text."""

    label = "semantic distance"
    needs = "encoder"

    def __init__(self, *, encode, verifier, n):
        self.encode = encode

    def __call__(self, groups, records, weights) -> list[GroupDiversity]:
        import torch

        from polychromic.method.diversity.groups import of_distances

        texts = [text for group in groups for text in group]
        vectors = torch.as_tensor(self.encode(texts), dtype=torch.float64)
        per_group = vectors.split([len(group) for group in groups])
        return [of_distances(1 - v @ v.T, g) for v, g in zip(per_group, weights, strict=True)]
