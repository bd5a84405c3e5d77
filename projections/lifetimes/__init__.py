"""Every fact as a stretch of seqs, and the index that keeps them."""
