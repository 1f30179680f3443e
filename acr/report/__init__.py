"""Report: what memory adds up to, as numbers, charts and one HTML page."""
