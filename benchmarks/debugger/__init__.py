"""The debugger: its page in a browser, beside @xyflow/react with its own edges, and its server."""
