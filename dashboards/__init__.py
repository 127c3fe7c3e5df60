"""Screens and an API for product teams, over the SQL views. Imports schemas and workers.store, nothing else of workers."""
