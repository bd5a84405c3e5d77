"""LabStreamingLayer: the ledger as a stream of markers, and markers of others as marks."""
