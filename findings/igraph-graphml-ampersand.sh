#!/usr/bin/env bash
# igraph 1.0.0 (PyPI) reads an ampersand in a GraphML node id as the five letters "&#38;".
#
# A topic may be called "EEG & EMG/OUT". networkx writes it as GraphML wants it, <node id="EEG &amp; EMG/OUT">, and any
# XML parser gives "EEG & EMG/OUT" back. igraph.Graph.Read_GraphML gives the id "EEG &#38; EMG/OUT" instead, while the
# same text in a <data> element arrives as it is, and so do "<" and quotes in an id. A guess that ids of GraphML survive
# a round trip is wrong: look nodes up by an attribute that holds the name.
#
# Source: https://python.igraph.org/ (Graph.Read_GraphML), http://graphml.graphdrawing.org/specification.html
# Seen:
#   ids: ['EEG &#38; EMG/OUT', 'LOG/IN']
#   data: ['EEG & EMG']
#   other ids: ['a<b', 'c"d']
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check igraph==1.0.0 networkx==3.6.1 >&2
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON' | tee seen.txt
import xml.etree.ElementTree as ElementTree

import igraph
import networkx

graph = networkx.DiGraph()
graph.add_edge("EEG & EMG/OUT", "LOG/IN", topic="EEG & EMG")
networkx.write_graphml(graph, "names.graphml")
nodes = [node.get("id") for node in ElementTree.parse("names.graphml").iter() if node.tag.endswith("}node")]
assert nodes == ["EEG & EMG/OUT", "LOG/IN"], nodes  # the file is right
read = igraph.Graph.Read_GraphML("names.graphml")
print("ids:", read.vs["id"])
print("data:", read.es["topic"])

graph = networkx.DiGraph()
graph.add_edge("a<b", 'c"d')
networkx.write_graphml(graph, "others.graphml")
print("other ids:", igraph.Graph.Read_GraphML("others.graphml").vs["id"])
PYTHON
diff - seen.txt <<'SEEN' && echo "as stated"
ids: ['EEG &#38; EMG/OUT', 'LOG/IN']
data: ['EEG & EMG']
other ids: ['a<b', 'c"d']
SEEN
