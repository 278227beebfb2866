"""The verbs of the app moves."""
