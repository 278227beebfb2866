"""Decisions about moves: values in, verdict and reason out."""
