"""The verbs of the app home."""
