"""Models of other libraries with random weights; slow, and skipped where a library is missing."""
