"""The documents that are made from the settings: reference, JSON schema, profiles."""
