"""The verbs of the app accounts."""
