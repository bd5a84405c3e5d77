// Edges are painted on a canvas (scene.ts), so that a step repaints instead of reconciling thousands of elements. The
// benchmark puts another module in the place of this one, with which @xyflow draws them, and measures the difference.
import type { Edge } from "@xyflow/react";
import type { Box } from "../model/drawing";

export const ON_CANVAS = true;

const NONE: Edge[] = [];

/** Ends of edges that @xyflow does not have to look for in each box. */
export const HANDLES: [] = [];

/** What a box needs for edges that @xyflow draws: nothing. */
export const Ends = (_: { box: Box }) => null;

export const useEdges = (): Edge[] => NONE;
