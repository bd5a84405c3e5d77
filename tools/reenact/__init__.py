"""A recorded graph, issued once more against a live ezmsg graph server."""
