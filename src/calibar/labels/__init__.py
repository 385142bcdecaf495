"""What named sources say of addresses. Attributions: somebody's word, never a fact; none is silently the best."""
