"""The references in docs/, made from what the program itself reads: `python -m tests.reference` writes them again."""
