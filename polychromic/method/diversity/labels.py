"""D in the space in which answers are judged: two samples differ if the verifier's labels of them do."""

from __future__ import annotations

from polychromic.method.diversity import DIVERSITY, GroupDiversity


class Labels:
    """1 where two labels differ, else 0; samples without a label (None) are alike."""

    needs = "labels"

    def __init__(self, *, encode, verifier, n):
        self.verifier = verifier

    def __call__(self, groups, records, valid) -> list[GroupDiversity]:
        return [self._group(*group) for group in zip(groups, records, valid, strict=True)]

    def _group(self, texts, record, valid) -> GroupDiversity:
        import torch

        from polychromic.method.diversity.groups import of_distances, on_unique

        labels = on_unique(lambda unique: self.verifier.labels(unique, record), texts)
        codes = {label: code for code, label in enumerate(dict.fromkeys(labels))}
        code = torch.tensor([codes[label] for label in labels])
        return of_distances((code[:, None] != code[None, :]).double(), valid)


@DIVERSITY.register("behaviour")
class Behaviour(Labels):
    """Whether two programs return different values on probe inputs."""

    label = "behaviour"
    needs = "behaviour"


@DIVERSITY.register("answer")
class Answer(Labels):
    """Whether two normalised answers differ."""

    label = "answer"
