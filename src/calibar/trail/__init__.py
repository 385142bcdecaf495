"""Follow the money: one method, one meaning, sums that re-add."""
