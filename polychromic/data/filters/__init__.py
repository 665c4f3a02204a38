"""The filters of a curation, each a typed setting with a verdict on every record."""
