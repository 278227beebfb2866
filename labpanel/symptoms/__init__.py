"""What is wrong, as values (kind, subject, level, facts, evidence), and the words for it.

hosts and backups record these values; the sentences are made in `words` alone.
"""
