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

    def __call__(self, groups, records, valid) -> list[GroupDiversity]:
        import torch

        from polychromic.method.diversity.groups import of_distances

        counts = torch.tensor([ok for group in valid for ok in group])  # the distances of others are multiplied by 0
        texts = [text for group in groups for text in group]
        kept = torch.as_tensor(
            self.encode([texts[i] for i in counts.nonzero().flatten().tolist()]), dtype=torch.float64
        )
        vectors = kept.new_zeros((len(texts), kept.shape[-1]))
        vectors[counts] = kept
        per_group = vectors.split([len(group) for group in groups])
        return [of_distances(1 - v @ v.T, g) for v, g in zip(per_group, valid, strict=True)]
