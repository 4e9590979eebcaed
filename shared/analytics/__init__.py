"""Counters by subject and day, added up as things happen, and durations as sketches that can be added up too."""
