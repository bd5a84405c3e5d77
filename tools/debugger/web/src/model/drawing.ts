// The drawing of all time as the server sends it, and what a page has to look up in it.
import type { History } from "./history";

export type PortForm = [topic: string, side: string, x: number, y: number, name: string];
export type BoxForm = [
  address: string, kind: string, parent: number, x: number, y: number, w: number, h: number, ports: PortForm[],
  type: string, name: string,
];

export interface DrawingForm {
  version: number;
  width: number;
  height: number;
  simplified: boolean;
  boxes: BoxForm[];
  edges: [string, string][];
  segments: [points: number[], edges: number[]][];
}

export interface Port {
  topic: string;
  side: string;
  x: number;
  y: number;
  name: string;
}

export interface Box {
  place: number;
  address: string;
  kind: string;
  parent: number;
  x: number;
  y: number;
  w: number;
  h: number;
  ports: Port[];
  type: string;
  name: string;
  depth: number;
}

export interface Segment {
  points: number[];
  /** Places of edges in the history. */
  edges: number[];
  box: [x0: number, y0: number, x1: number, y1: number];
}

export class Drawing {
  readonly boxes: Box[] = [];
  readonly segments: Segment[] = [];
  readonly byAddress = new Map<string, Box>();
  /** The box that a topic stands at. */
  readonly ofTopic = new Map<string, Box>();
  readonly segmentsOf = new Map<number, number[]>();
  readonly width: number;
  readonly height: number;
  readonly simplified: boolean;

  /** `places`: where the history has each edge of the form, when it is not where the form has it. */
  constructor(form: DrawingForm, history: History, places: number[] | null = null) {
    this.width = form.width;
    this.height = form.height;
    this.simplified = form.simplified;
    form.boxes.forEach(([address, kind, parent, x, y, w, h, ports, type, name], place) => {
      const box: Box = {
        place, address, kind, parent, x, y, w, h, type, name,
        ports: ports.map(([topic, side, px, py, label]) => ({ topic, side, x: px, y: py, name: label })),
        depth: parent < 0 ? 0 : this.boxes[parent].depth + 1,
      };
      this.boxes.push(box);
      this.byAddress.set(address, box);
      for (const port of box.ports) this.ofTopic.set(port.topic, box);
    });
    const count = history.edgeTo.length; // the places are those of the lifetimes; one may have come since these
    for (const [points, edges] of form.segments) {
      const known = places ? edges.map((place) => places[place]) : edges.filter((place) => place < count);
      const number = this.segments.length;
      const box: Segment["box"] = [points[0], points[1], points[0], points[1]];
      for (let i = 2; i < points.length; i += 2) {
        if (points[i] < box[0]) box[0] = points[i];
        else if (points[i] > box[2]) box[2] = points[i];
        if (points[i + 1] < box[1]) box[1] = points[i + 1];
        else if (points[i + 1] > box[3]) box[3] = points[i + 1];
      }
      this.segments.push({ points, edges: known, box });
      for (const place of known) {
        const list = this.segmentsOf.get(place);
        if (list) list.push(number);
        else this.segmentsOf.set(place, [number]);
      }
    }
  }

  /** Whether a box is inside of one of these collections. */
  isInside(box: Box, collections: ReadonlySet<string>): boolean {
    for (let parent = box.parent; parent >= 0; parent = this.boxes[parent].parent) {
      if (collections.has(this.boxes[parent].address)) return true;
    }
    return false;
  }
}
