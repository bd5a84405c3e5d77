"""Every fact of a ledger as a stretch of seqs, and the index that keeps them."""
