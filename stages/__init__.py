"""The pipeline: each folder is one DVC stage, or a room that several stages share."""

from stages.shared import instruction_set

instruction_set.pin(instruction_set.pinned())
