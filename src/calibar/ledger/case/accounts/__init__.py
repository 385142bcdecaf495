"""Cases on account chains: transfers that explorers list and blocks that nodes give, made into one ledger."""
