"""Reads GraphML with igraph: a JSON text in each line of stdin, and in each line of stdout what was found."""

import json
import sys
import tempfile
from pathlib import Path

import igraph

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "x.graphml"
    for line in sys.stdin:
        path.write_text(json.loads(line)["text"], encoding="utf-8")
        graph = igraph.Graph.Read_GraphML(str(path))
        names = graph.vs["topic"] if graph.vcount() else []
        edges = [[names[edge.source], names[edge.target]] for edge in graph.es]
        print(json.dumps({"nodes": names, "edges": edges}), flush=True)
