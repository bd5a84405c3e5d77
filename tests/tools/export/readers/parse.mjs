// Reads a graph in each line of stdin, as JSON {"format", "text"}, with the parser of that format's own project, and says
// in a line what it found: nodes, and edges as pairs of them.
import { createInterface } from "node:readline"
import { Graphviz } from "@hpcc-js/wasm-graphviz"
import { JSDOM } from "jsdom"

const dom = new JSDOM("")
globalThis.window = dom.window
globalThis.document = dom.window.document
const { default: mermaid } = await import("mermaid")
mermaid.initialize({ startOnLoad: false })
const graphviz = await Graphviz.load()

async function drawn(text) {
  const diagram = await mermaid.mermaidAPI.getDiagramFromText(text)
  const { nodes, edges } = diagram.db.getData()
  const topics = nodes.filter((node) => !node.isGroup)
  return { nodes: topics.map((node) => node.id), edges: edges.map((edge) => [edge.start, edge.end]) }
}

function laidOut(text) {
  const { objects = [], edges = [] } = JSON.parse(graphviz.layout(text, "dot_json", "dot"))
  const topics = objects.filter((each) => !each.nodes && !each.subgraphs)
  return {
    nodes: topics.map((each) => each.name),
    edges: edges.map((edge) => [edge.tail, edge.head].map((id) => objects.find((each) => each._gvid === id).name)),
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  try {
    const { format, text } = JSON.parse(line)
    console.log(JSON.stringify(format === "dot" ? laidOut(text) : await drawn(text)))
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }))
  }
}
