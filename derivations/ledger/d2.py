"""D2, line by line."""

from derivations.ledger.row import Document

DOCUMENT = Document("D2", "Diffusion (handwritten notes)")
