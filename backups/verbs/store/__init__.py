"""`./panel store …`: the directories that keep backups."""

SUMMARY = "add, list, show and remove the directories that keep backups"
