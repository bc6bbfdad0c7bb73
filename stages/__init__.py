"""The pipeline: each folder is one DVC stage, or a room that several stages share."""

from stages import instructions

instructions.pin(instructions.pinned())
