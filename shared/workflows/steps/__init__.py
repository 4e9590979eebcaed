"""Steps: a second way to write a workflow. What is stored is the document; see docs/steps.md."""

from shared.workflows.steps.from_document import steps_of_document
from shared.workflows.steps.to_document import document_of_steps

__all__ = ["document_of_steps", "steps_of_document"]
