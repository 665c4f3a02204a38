"""From raw rows to the parts: reading, filtering, review and splitting."""
