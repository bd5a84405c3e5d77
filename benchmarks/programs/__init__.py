"""Programs that the sections start as processes of their own."""
