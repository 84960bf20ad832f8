"""D4, line by line."""

from derivations.ledger.row import Document

DOCUMENT = Document("D4", "Denoising Diffusion Probabilistic Model (reading notes)")
