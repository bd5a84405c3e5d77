// Paints a moment, or a difference, of the drawing on two canvases: edges and collections below the units, and names
// above them. Nothing here touches an element of the graph but these two.
import type { Box, Drawing, Segment } from "../model/drawing";
import { ON_CANVAS } from "./edges";
import type { EdgeState } from "../model/model";
import { model } from "../model/model";
import { FOREIGN } from "../model/other";
import { palette } from "../palette";
import { get } from "../store";

export interface Camera {
  x: number;
  y: number;
  zoom: number;
}

/** From this zoom on ports have names; below NEAR units are tiles and collections have names across them. */
export const PORTS_FROM = 0.6;
export const NAMES_FROM = 0.28;

const RADIUS = 8;
const HEAD = 6;
/** Side of a canvas in device pixels that browsers surely paint. */
const CANVAS_MAX = 8192;
/** Ghosts of what is not there help up to some thousand lines; more are a grey fog. */
const GHOSTS_MAX = 4000;
/** Lines of a difference above which they are solid: dashes of thousands take a third of a second. */
const DASHED_MAX = 600;
const CELL = 256;
/** Lines, seen from far away, above which each is painted paler: where many run, it is darker. */
const CROWD = 900;
/** Edges that came and went in between are drawn when they are few; of many, the list tells. */
const BETWEEN_MAX = 60;

/** Edges that were added, removed, or have other owners. */
type Tally = [added: number, removed: number, others: number];

const NO_TALLIES: Map<number, Tally> = new Map();

type Style = { colour: string; width: number; dash: number[] };

export class Scene {
  /** Which pieces of which segments are in each square: made when the pointer first asks. */
  private cells: Map<number, number[]> | null = null;
  private present: Uint16Array<ArrayBuffer> = new Uint16Array(0);
  /** Edges of what is selected, and those that lead there or on from there; null when nothing is, or when they are too many. */
  related: Set<number> | null = null;
  beyond: Set<number> | null = null;
  private between = false;

  constructor(
    private below: HTMLCanvasElement,
    private above: HTMLCanvasElement,
    readonly drawing: Drawing,
    /** Boxes that only the other ledger has. */
    private foreign: ReadonlySet<number>,
  ) {}

  private isForeign(box: Box): boolean {
    return this.foreign.size > 0 && !get().pinOther && this.foreign.has(box.place);
  }

  /** Fit both canvases to the size of the place that they lie in. */
  resize(width: number, height: number): void {
    const ratio = Math.min(window.devicePixelRatio || 1, CANVAS_MAX / Math.max(width, height, 1));
    for (const canvas of [this.below, this.above]) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
  }

  paint(camera: Camera, present: Uint16Array<ArrayBuffer>): void {
    this.present = present;
    this.paintBelow(camera);
  }

  private begin(canvas: HTMLCanvasElement, camera: Camera): CanvasRenderingContext2D {
    const context = canvas.getContext("2d")!;
    const ratio = canvas.width / (canvas.clientWidth || 1);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(ratio * camera.zoom, 0, 0, ratio * camera.zoom, ratio * camera.x, ratio * camera.y);
    return context;
  }

  private paintBelow(camera: Camera): void {
    const context = this.begin(this.below, camera);
    this.paintOn(context, camera, this.visible(camera));
  }

  /** The same picture on any context, such as that of an export. */
  paintOn(context: CanvasRenderingContext2D, camera: Camera, seen: [number, number, number, number]): void {
    const collapsed = new Set(get().collapsed);
    this.paintCollections(context, camera, seen, collapsed);
    if (ON_CANVAS) this.paintEdges(context, camera, seen, collapsed);
  }

  private visible(camera: Camera): [number, number, number, number] {
    const { clientWidth, clientHeight } = this.below;
    const margin = 20 / camera.zoom;
    return [
      -camera.x / camera.zoom - margin,
      -camera.y / camera.zoom - margin,
      (clientWidth - camera.x) / camera.zoom + margin,
      (clientHeight - camera.y) / camera.zoom + margin,
    ];
  }

  private paintCollections(
    context: CanvasRenderingContext2D, camera: Camera, seen: number[], collapsed: ReadonlySet<string>,
  ): void {
    const colours = palette();
    context.lineWidth = 1 / camera.zoom;
    for (const box of this.drawing.boxes) {
      if (box.kind !== "collection" || this.drawing.isInside(box, collapsed) || this.isForeign(box)) continue;
      if (box.x > seen[2] || box.y > seen[3] || box.x + box.w < seen[0] || box.y + box.h < seen[1]) continue;
      context.globalAlpha = this.present[box.place] || get().pin !== null ? 1 : 0.45;
      context.beginPath();
      context.roundRect(box.x, box.y, box.w, box.h, 10);
      context.fillStyle = colours.nest[box.depth < 2 ? 0 : 1];
      context.fill();
      if (collapsed.has(box.address)) {
        context.fillStyle = colours.nest[0];
        context.fill();
        context.fill();
      }
      context.strokeStyle = colours.line;
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  // --- edges -------------------------------------------------------------------------------------------------------

  private paintEdges(
    context: CanvasRenderingContext2D, camera: Camera, seen: number[], collapsed: ReadonlySet<string>,
  ): void {
    const groups = this.grouped(seen, collapsed);
    const colours = palette();
    const pinned = get().pin !== null;
    const dim = this.related !== null;
    const rounded = camera.zoom >= NAMES_FROM;
    const order = [...groups.keys()].sort();
    let changes = 0;
    for (const key of order) if (pinned && !key.startsWith("1")) changes += groups.get(key)!.length;
    for (const key of order) {
      const segments = groups.get(key)!;
      const style = this.style(key, colours, changes > DASHED_MAX);
      const crowd = camera.zoom < NAMES_FROM ? Math.max(0.2, Math.min(1, CROWD / segments.length)) : 1;
      context.globalAlpha = key.startsWith("9") ? 1 : key.startsWith("8") ? 0.8 : dim ? 0.28 * crowd : crowd;
      context.strokeStyle = context.fillStyle = style.colour;
      context.lineWidth = style.width / Math.max(camera.zoom, 0.05) ** 0.6 / (camera.zoom < 1 ? 1 : camera.zoom ** 0.4);
      context.setLineDash(style.dash.map((length) => length / camera.zoom));
      context.lineJoin = "round";
      context.beginPath();
      for (const number of segments) trace(context, this.drawing.segments[number].points, rounded);
      context.stroke();
      context.setLineDash([]);
      if (rounded) {
        context.beginPath();
        for (const number of segments) head(context, this.drawing.segments[number]);
        context.fill();
      }
      if (key.includes("shared")) {
        context.strokeStyle = colours.paper;
        context.lineWidth *= 0.6;
        context.setLineDash([4 / camera.zoom, 6 / camera.zoom]);
        context.beginPath();
        for (const number of segments) trace(context, this.drawing.segments[number].points, rounded);
        context.stroke();
        context.setLineDash([]);
      }
    }
    context.globalAlpha = 1;
    if (pinned && rounded) this.paintCounts(context, camera, seen, collapsed);
  }

  /** The lines of the whole drawing as they are painted, the lowest first. */
  layers(): { style: Style; dim: boolean; shared: boolean; segments: Segment[] }[] {
    const groups = this.grouped([-Infinity, -Infinity, Infinity, Infinity], new Set(get().collapsed));
    return [...groups.keys()].sort().map((key) => ({
      style: this.style(key, palette(), false),
      dim: this.related !== null && !/^[89]/.test(key),
      shared: key.includes("shared"),
      segments: groups.get(key)!.map((number) => this.drawing.segments[number]),
    }));
  }

  /** Segments by the style that they are painted in: the first character says what lies on top. */
  private grouped(seen: number[], collapsed: ReadonlySet<string>): Map<string, number[]> {
    const groups = new Map<string, number[]>();
    const { lens, pin, ghosts } = get();
    const { now, history } = model;
    const fed = lens === "wiring" && pin === null ? model.published() : null;
    const few = this.drawing.segments.length <= GHOSTS_MAX;
    const add = (key: string, number: number): number => {
      const list = groups.get(key);
      if (list) return list.push(number);
      groups.set(key, [number]);
      return 1;
    };
    this.between = pin !== null && (model.differences()?.between.length ?? 0) <= BETWEEN_MAX;
    this.drawing.segments.forEach((segment, number) => {
      const [x0, y0, x1, y1] = segment.box;
      if (x0 > seen[2] || y0 > seen[3] || x1 < seen[0] || y1 < seen[1]) return;
      if (collapsed.size && this.isHidden(segment, collapsed)) return;
      const alive = segment.edges.filter((edge) => now.owners[edge] > 0);
      if (this.related && segment.edges.some((edge) => this.related!.has(edge) && this.counts(edge))) {
        add(`9related`, number);
        return;
      }
      if (this.beyond && segment.edges.some((edge) => this.beyond!.has(edge) && this.counts(edge))) {
        add(`8beyond`, number);
        return;
      }
      if (pin !== null) {
        this.groupDifference(segment, number, add);
        return;
      }
      if (!alive.length) {
        if (ghosts && few && segment.edges.some((edge) => edge < FOREIGN)) add("0ghost", number);
      } else if (lens === "owner") {
        const owner = now.owner[alive[0]];
        const shared = alive.some((edge) => now.owners[edge] > 1 || now.owner[edge] !== owner);
        add(`2owner ${history.sessionName(owner)}${shared ? "|shared" : ""}`, number);
      } else if (fed && !alive.some((edge) => fed[history.edgeFrom.data[edge]])) {
        add("1unfed", number);
      } else {
        add("2on", number);
      }
    });
    return groups;
  }

  private counts(edge: number): boolean {
    const state = model.edgeState(edge);
    return state !== "off" && state !== "between";
  }

  /** A cable of many edges keeps its grey, and a count says what changed in it; a line of one edge shows that itself. */
  private groupDifference(segment: Segment, number: number, add: (key: string, number: number) => number): void {
    const tally = this.tally(segment);
    const all = segment.edges.length;
    const between = this.between ? tally.between : 0;
    let shown = 0;
    for (const state of ["removed", "between", "others", "added"] as const) {
      const changed = state === "between" ? between : tally[state];
      if (changed && (all <= 3 || changed * 2 >= all)) shown += add(`5${state}`, number);
    }
    if (tally.on || (!shown && tally.added + tally.removed + tally.others)) add("1on", number);
  }

  private tally(segment: Segment): Record<EdgeState, number> {
    const out: Record<EdgeState, number> = { on: 0, off: 0, added: 0, removed: 0, others: 0, between: 0 };
    for (const edge of segment.edges) out[model.edgeState(edge)]++;
    return out;
  }

  private paintCounts(
    context: CanvasRenderingContext2D, camera: Camera, seen: number[], collapsed: ReadonlySet<string>,
  ): void {
    const colours = palette();
    const size = 10 / camera.zoom;
    context.font = `600 ${size}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    this.drawing.segments.forEach((segment) => {
      if (segment.edges.length <= 3 || this.isHidden(segment, collapsed)) return;
      const [x0, y0, x1, y1] = segment.box;
      if (x0 > seen[2] || y0 > seen[3] || x1 < seen[0] || y1 < seen[1]) return;
      const tally = this.tally(segment);
      if (!tally.added && !tally.removed && !tally.others) return;
      const [x, y] = middle(segment.points);
      const parts: [string, string][] = [];
      if (tally.added) parts.push([`+${tally.added}`, colours.added]);
      if (tally.removed) parts.push([`\u2212${tally.removed}`, colours.removed]);
      if (tally.others) parts.push([`~${tally.others}`, colours.others]);
      const width = parts.reduce((sum, [text]) => sum + context.measureText(`${text} `).width, 0);
      context.fillStyle = colours.paper;
      context.fillRect(x - size / 3, y - size * 0.75, width + size / 3, size * 1.5);
      let left = x;
      for (const [text, colour] of parts) {
        context.fillStyle = colour;
        context.fillText(text, left, y);
        left += context.measureText(`${text} `).width;
      }
    });
  }

  private style(key: string, colours: ReturnType<typeof palette>, many: boolean): Style {
    const kind = key.slice(1).split(/[ |]/)[0];
    switch (kind) {
      case "ghost":
        return { colour: colours.ghost, width: 1, dash: [] };
      case "unfed":
        return { colour: colours.edge, width: 1.2, dash: [5, 4] };
      case "added":
        return { colour: colours.added, width: 2.2, dash: [] };
      case "removed":
        return { colour: colours.removed, width: 2.2, dash: many ? [] : [6, 4] };
      case "others":
        return { colour: colours.others, width: 2.2, dash: many ? [] : [2, 3] };
      case "between":
        return { colour: colours.between, width: 1.6, dash: many ? [] : [1, 4] };
      case "related":
        return { colour: colours.select, width: 2.4, dash: [] };
      case "beyond":
        return { colour: colours.select, width: 1.3, dash: [] };
      case "owner":
        return { colour: model.colours.of(key.slice(7).replace("|shared", "")), width: 1.6, dash: [] };
      default:
        return { colour: colours.edge, width: key.startsWith("1") ? 1 : 1.3, dash: [] };
    }
  }

  /** A collapsed collection hides what is inside of its place. */
  private isHidden(segment: Segment, collapsed: ReadonlySet<string>): boolean {
    const [x0, y0, x1, y1] = segment.box;
    for (const address of collapsed) {
      const box = this.drawing.byAddress.get(address);
      if (box && x0 >= box.x && y0 >= box.y && x1 <= box.x + box.w && y1 <= box.y + box.h) return true;
    }
    return false;
  }

  // --- names -------------------------------------------------------------------------------------------------------

  /** The names of collections across their boxes when it is far away, the outermost first, none over another; beside a
   *  pin with how many of their edges differ. */
  paintNames(camera: Camera): void {
    const context = this.begin(this.above, camera);
    const tallies = get().pin !== null ? this.tallies() : NO_TALLIES;
    if (camera.zoom >= NAMES_FROM) return this.paintTallies(context, camera, tallies);
    const colours = palette();
    const taken: [number, number, number, number][] = [];
    const seen = this.visible(camera);
    const size = 11 / camera.zoom;
    context.font = `600 ${size}px system-ui, sans-serif`;
    context.textBaseline = "top";
    const collections = this.drawing.boxes.filter((box) => box.kind === "collection").sort((a, b) => a.depth - b.depth);
    for (const box of collections) {
      if (this.isForeign(box)) continue;
      if (box.x > seen[2] || box.y > seen[3] || box.x + box.w < seen[0] || box.y + box.h < seen[1]) continue;
      const parts = [[box.name, colours.text], ...this.parts(tallies.get(box.place))];
      const widths = parts.map(([text]) => context.measureText(`${text} `).width);
      if (widths[0] > Math.max(box.w, 40 / camera.zoom)) continue;
      const width = widths.reduce((sum, each) => sum + each, 0);
      const x = box.x + 3 / camera.zoom;
      const y = box.y + 2 / camera.zoom;
      const place: [number, number, number, number] = [x, y, x + width, y + size * 1.15];
      if (taken.some((other) => overlap(place, other))) continue;
      taken.push(place);
      context.fillStyle = colours.paper;
      context.globalAlpha = 0.8;
      context.fillRect(x - size * 0.2, y - size * 0.1, width + size * 0.15, size * 1.3);
      context.globalAlpha = 1;
      let left = x;
      parts.forEach(([text, colour], number) => {
        context.fillStyle = colour;
        context.fillText(text, left, y);
        left += widths[number];
      });
    }
  }

  /** A tally as texts with their colours. */
  private parts(tally: Tally | undefined): [text: string, colour: string][] {
    if (!tally) return [];
    const colours = palette();
    const shades = [colours.added, colours.removed, colours.others];
    return tally.flatMap((number, kind) => (number ? [[`${"+\u2212~"[kind]}${number}`, shades[kind]] as [string, string]] : []));
  }

  /** How many edges that begin or end in each collection differ: far away, lines cannot tell. */
  private tallies(): Map<number, Tally> {
    const tallies = new Map<number, Tally>();
    const found = model.differences();
    [found?.added, found?.removed, found?.others].forEach((edges, kind) => {
      for (const edge of edges ?? []) {
        for (const box of this.around(edge)) {
          const tally = tallies.get(box) ?? [0, 0, 0];
          tally[kind]++;
          tallies.set(box, tally);
        }
      }
    });
    return tallies;
  }

  /** Tallies at the right end of the titles of collections. */
  private paintTallies(context: CanvasRenderingContext2D, camera: Camera, tallies: Map<number, Tally>): void {
    const colours = palette();
    const size = Math.max(10, 10 / camera.zoom);
    context.font = `600 ${size}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    const collapsed = new Set(get().collapsed);
    for (const [place, tally] of tallies) {
      const box = this.drawing.boxes[place];
      if (this.drawing.isInside(box, collapsed)) continue;
      const parts = this.parts(tally);
      const width = parts.reduce((sum, [text]) => sum + context.measureText(`${text} `).width, 0);
      if (width > box.w) continue;
      let x = box.x + box.w - width - size / 2;
      const y = box.y + size * 0.9;
      context.fillStyle = colours.paper;
      context.globalAlpha = 0.85;
      context.fillRect(x - size * 0.3, y - size * 0.7, width + size * 0.3, size * 1.4);
      context.globalAlpha = 1;
      for (const [text, colour] of parts) {
        context.fillStyle = colour;
        context.fillText(text, x, y);
        x += context.measureText(`${text} `).width;
      }
    }
  }

  /** The collections around either end of an edge. */
  private around(edge: number): Set<number> {
    const out = new Set<number>();
    for (const topic of model.edgeName(edge).split(" -> ")) {
      const end = this.drawing.ofTopic.get(topic);
      if (!end) continue;
      for (let box = end.kind === "collection" ? end.place : end.parent; box >= 0; box = this.drawing.boxes[box].parent) out.add(box);
    }
    return out;
  }

  // --- what is under the pointer -------------------------------------------------------------------------------------

  /** Where each piece of line is: along it, for a slanting one has nothing to do with most of its rectangle. */
  private index(segment: Segment, number: number): void {
    const { points } = segment;
    for (let i = 0; i + 3 < points.length; i += 2) {
      const [x0, y0, x1, y1] = points.slice(i, i + 4);
      const steps = Math.max(1, Math.ceil(Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0)) / (CELL / 2)));
      let last = NaN;
      for (let step = 0; step <= steps; step++) {
        const key = cellOf(x0 + ((x1 - x0) * step) / steps, y0 + ((y1 - y0) * step) / steps);
        if (key === last) continue;
        last = key;
        const list = this.cells!.get(key);
        if (list) list.push(number, i);
        else this.cells!.set(key, [number, i]);
      }
    }
  }

  /** The segment nearest to a place of the drawing that shows something, within `reach`; -1 for none. */
  segmentAt(x: number, y: number, reach: number): number {
    if (!this.cells) {
      this.cells = new Map();
      this.drawing.segments.forEach((segment, number) => this.index(segment, number));
    }
    let best = -1;
    let nearest = reach;
    for (let dx = -1; dx <= 1; dx++) {
      for (let dy = -1; dy <= 1; dy++) {
        const cell = this.cells.get(cellOf(x + dx * CELL * 0.5, y + dy * CELL * 0.5));
        if (!cell) continue;
        for (let i = 0; i < cell.length; i += 2) {
          const segment = this.drawing.segments[cell[i]];
          const away = distance(segment.points, cell[i + 1], x, y);
          if (away < nearest && segment.edges.some((edge) => model.edgeState(edge) !== "off")) {
            nearest = away;
            best = cell[i];
          }
        }
      }
    }
    return best;
  }
}

function trace(context: CanvasRenderingContext2D, points: number[], rounded: boolean): void {
  context.moveTo(points[0], points[1]);
  const last = points.length - 2;
  for (let i = 2; i < last; i += 2) {
    if (rounded) {
      const before = Math.hypot(points[i] - points[i - 2], points[i + 1] - points[i - 1]);
      const after = Math.hypot(points[i + 2] - points[i], points[i + 3] - points[i + 1]);
      context.arcTo(points[i], points[i + 1], points[i + 2], points[i + 3], Math.min(RADIUS, before / 2, after / 2));
    } else context.lineTo(points[i], points[i + 1]);
  }
  context.lineTo(points[last], points[last + 1]);
}

function head(context: CanvasRenderingContext2D, segment: Segment): void {
  const { points } = segment;
  const n = points.length;
  const [x, y] = [points[n - 2], points[n - 1]];
  const forward = x >= points[n - 4] ? 1 : -1;
  if (points[n - 3] !== y) return;
  context.moveTo(x, y);
  context.lineTo(x - forward * HEAD, y - HEAD / 2);
  context.lineTo(x - forward * HEAD, y + HEAD / 2);
}

function middle(points: number[]): [number, number] {
  let best = 0;
  let longest = -1;
  for (let i = 0; i + 3 < points.length; i += 2) {
    const length = Math.abs(points[i + 2] - points[i]) + Math.abs(points[i + 3] - points[i + 1]);
    if (length > longest) [best, longest] = [i, length];
  }
  return [(points[best] + points[best + 2]) / 2, (points[best + 1] + points[best + 3]) / 2];
}

function distance(points: number[], i: number, x: number, y: number): number {
  const [x0, y0, x1, y1] = [points[i], points[i + 1], points[i + 2], points[i + 3]];
  const length = (x1 - x0) ** 2 + (y1 - y0) ** 2;
  const share = length ? Math.max(0, Math.min(1, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length)) : 0;
  return Math.hypot(x - x0 - share * (x1 - x0), y - y0 - share * (y1 - y0));
}

const cellOf = (x: number, y: number) => Math.floor(x / CELL) * 65536 + Math.floor(y / CELL);

const overlap = (a: number[], b: number[]) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
