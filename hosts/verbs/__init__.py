"""The verbs of the app hosts."""
