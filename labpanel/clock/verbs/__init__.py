"""The verbs of the app clock."""
