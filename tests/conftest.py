"""Every test runs with the annotated types and tensor shapes checked, where there are tensors."""

from jaxtyping import install_import_hook

install_import_hook(["stages.architectures", "stages.train", "stages.probe"], "beartype.beartype")
