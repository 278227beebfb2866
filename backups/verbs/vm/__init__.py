"""What of `./panel vm …` stands on the backups."""
