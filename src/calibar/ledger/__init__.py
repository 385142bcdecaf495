"""One chain's facts as stored here, in chain order."""
