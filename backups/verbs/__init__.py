"""The verbs of the app backups."""
