"""The verbs of the app jobs."""
