"""One file for each section of the report: what it measures, and beside whom."""
