// The peer of the benchmark: the same page, but @xyflow/react draws the edges, as its users do. What is measured beside it
// is in tools/debugger/web/src/graph/edges.tsx.
import { type Edge, Handle, Position } from "@xyflow/react";
import { useMemo } from "react";
import type { Box } from "../../../tools/debugger/web/src/model/drawing";
import { model } from "../../../tools/debugger/web/src/model/model";
import { useView } from "../../../tools/debugger/web/src/store";

export const ON_CANVAS = false;

/** @xyflow finds them in the boxes. */
export const HANDLES = undefined;

export const Ends = ({ box }: { box: Box }) => (
  <>
    {box.ports.map((port) => {
      const style = { top: port.y - box.y };
      return (
        <span key={port.topic}>
          <Handle id={`${port.topic} in`} type="target" position={Position.Left} style={style} />
          <Handle id={`${port.topic} out`} type="source" position={Position.Right} style={style} />
        </span>
      );
    })}
  </>
);

let all: Edge[] = [];
let gone: Edge[] = [];

/** Every edge, hidden where it is not there: a step gives @xyflow another object for those that changed, and no more. */
export function useEdges(): Edge[] {
  const at = useView((view) => view.at);
  return useMemo(() => {
    const { drawing, history } = model;
    if (!drawing) return [];
    if (all.length !== history.edgeTo.length) {
      all = Array.from({ length: history.edgeTo.length }, (_, place) => {
        const from = history.topics[history.edgeFrom.data[place]];
        const to = history.topics[history.edgeTo.data[place]];
        return {
          id: `${from} -> ${to}`,
          source: drawing.ofTopic.get(from)!.address,
          target: drawing.ofTopic.get(to)!.address,
          sourceHandle: `${from} out`,
          targetHandle: `${to} in`,
          type: "smoothstep",
        };
      });
      gone = all.map((edge) => ({ ...edge, hidden: true }));
    }
    model.mask();
    return all.map((edge, place) => (model.now.owners[place] > 0 ? edge : gone[place]));
  }, [at]);
}
