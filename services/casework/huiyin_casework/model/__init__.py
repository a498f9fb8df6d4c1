"""The domain of casework: steps, clocks, chain, receipts, routing. Pure: no store, no network, no clock."""
