"""`./panel policy …`: what is backed up when, where to, and how much is kept."""

SUMMARY = "say what is backed up when, where to, and how much is kept"
