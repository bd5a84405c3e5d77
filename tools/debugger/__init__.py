"""The page that draws a recording at any moment, and the server that it comes from."""
