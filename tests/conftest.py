"""Every test runs with the annotated types and tensor shapes checked, where there are tensors."""

import signal

from jaxtyping import install_import_hook

# A shell that starts the tests in the background has them ignore Ctrl-C, and so what they start and then interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

install_import_hook(["stages.shared.architectures", "stages.train", "stages.probe"], "beartype.beartype")
