"""The verbs of the app panel_copies."""
