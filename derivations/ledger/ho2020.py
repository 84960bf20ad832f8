"""Ho2020, line by line."""

from derivations.ledger.row import Document

DOCUMENT = Document("Ho2020", "Denoising Diffusion Probabilistic Models (Ho, Jain, Abbeel 2020)")
