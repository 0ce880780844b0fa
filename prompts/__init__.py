"""Versioned prompt templates, as package data. Imports nothing."""
