"""How well the scores of shared weights rank networks: what is measured, and how it is compared."""
