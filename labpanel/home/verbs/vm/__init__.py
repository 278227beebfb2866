"""What of `./panel vm …` stands on hosts and copies alike."""
