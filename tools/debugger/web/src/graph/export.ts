// The view as a picture: SVG with real shapes and texts, or PNG. Made in the page; nothing leaves it but the download.
import type { Box } from "../model/drawing";
import { type BoxState, cut, view } from "./Graph";
import { model } from "../model/model";
import { palette } from "../palette";
import { get } from "../store";

const PNG_MAX = 8192;
const PADDING = 16;

/** Saves what the graph shows now; returns what was saved, in words. */
export async function exported(kind: "svg" | "png"): Promise<string> {
  const svg = picture();
  if (!svg) return "there is no drawing to save";
  const name = `${model.ledger.name.replace(/\.ledger$/, "")}-at-${get().at}`;
  if (kind === "svg") {
    save(new Blob([svg.text], { type: "image/svg+xml" }), `${name}.svg`);
    return `saved ${name}.svg`;
  }
  const scale = Math.min(2, PNG_MAX / svg.width, PNG_MAX / svg.height);
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([svg.text], { type: "image/svg+xml" }));
  try {
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(svg.width * scale);
    canvas.height = Math.round(svg.height * scale);
    canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/png"));
    if (!blob) return "this browser could not make the picture";
    save(blob, `${name}.png`);
    return `saved ${name}.png${scale < 1 ? ", made smaller: it is very large" : ""}`;
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const escaped = (text: string) => text.replace(/[&<>"]/g, (each) => `&#${each.charCodeAt(0)};`);

/** The drawing as the page shows it: the same lines, the same lens, what is collapsed is hidden. */
function picture(): { text: string; width: number; height: number } | null {
  const { painter } = view;
  if (!painter) return null;
  const { drawing, scene } = painter;
  const colours = palette();
  const width = drawing.width + 2 * PADDING;
  const height = drawing.height + 2 * PADDING;
  const out: string[] = [];
  const looks = painter.looks().filter(([, { state }]) => state !== "hidden");
  for (const [box, { state }] of looks) {
    if (box.kind === "collection") out.push(collection(box, state, get().collapsed.includes(box.address)));
  }
  for (const { style, dim, shared, segments } of scene.layers()) {
    const dash = style.dash.length ? ` stroke-dasharray="${style.dash.join(" ")}"` : "";
    out.push(`<g fill="none" stroke="${style.colour}" stroke-width="${style.width}" stroke-linejoin="round"${dim ? ' opacity="0.28"' : ""}>`);
    for (const { points } of segments) {
      const line = points.map((value, i) => (i % 2 ? `${value} ` : `${value},`)).join("").trim();
      out.push(`<polyline points="${line}"${dash}/>${arrow(points, style.colour)}`);
      if (shared) out.push(`<polyline points="${line}" stroke="${colours.paper}" stroke-width="${style.width * 0.6}" stroke-dasharray="4 6"/>`);
    }
    out.push("</g>");
  }
  for (const [box, { state, text, colour }] of looks) if (box.kind !== "collection") out.push(leaf(box, state, text, colour));
  const text =
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="${-PADDING} ${-PADDING} ${width} ${height}" font-family="system-ui, sans-serif">` +
    `<title>${escaped(`${model.ledger.name} at seq ${get().at}`)}</title>` +
    `<rect x="${-PADDING}" y="${-PADDING}" width="${width}" height="${height}" fill="${colours.paper}"/>${out.join("")}</svg>`;
  return { text, width, height };
}

function collection(box: Box, state: BoxState, isCollapsed: boolean): string {
  const colours = palette();
  const fill = colours.nest[box.depth < 2 ? 0 : 1];
  const rect = `<rect x="${box.x}" y="${box.y}" width="${box.w}" height="${box.h}" rx="10" fill="${fill}" stroke="${outline(state)}"/>`;
  const ports = isCollapsed ? "" : box.ports.map((port) => `<text x="${port.side === "out" ? port.x - 6 : port.x + 6}" y="${port.y - 3}"${port.side === "out" ? ' text-anchor="end"' : ""} font-size="10" fill="${colours.second}">${escaped(cut(port.name))}</text>`).join("");
  return `<g opacity="${state === "off" ? 0.6 : 1}">${rect.repeat(isCollapsed ? 3 : 1)}${title(box.x + 10, box.y + 16, box, colours.second)}${ports}</g>`;
}

function leaf(box: Box, state: BoxState, badge: string, colour: string): string {
  const colours = palette();
  const parts = [`<rect x="${box.x}" y="${box.y}" width="${box.w}" height="${box.h}" rx="${box.kind === "unit" ? 6 : 12}" fill="${colours.panel}" stroke="${outline(state)}"${state === "removed" || box.kind === "topic" ? ' stroke-dasharray="3 3"' : ""}/>`];
  if (colour) parts.push(`<rect x="${box.x}" y="${box.y + 3}" width="3" height="${box.h - 6}" fill="${colour}"/>`);
  if (box.kind !== "unit") parts.push(title(box.x + box.w / 2, box.y + box.h / 2 + 4, box, colours.text, ' text-anchor="middle"'));
  else {
    parts.push(title(box.x + 9, box.y + 16, box, colours.text));
    for (const port of box.ports) {
      const right = port.side === "out";
      parts.push(`<circle cx="${port.x}" cy="${port.y}" r="2.5" fill="${colours.edge}"/><text x="${right ? port.x - 8 : port.x + 8}" y="${port.y + 3.5}"${right ? ' text-anchor="end"' : ""} font-size="10" fill="${colours.second}">${escaped(cut(port.name))}</text>`);
    }
  }
  if (badge) parts.push(`<text x="${box.x + box.w - 4}" y="${box.y - 1}" text-anchor="end" font-size="11" font-weight="600" fill="${colours.settings}">\u2699 ${escaped(badge)}</text>`);
  return `<g opacity="${state === "off" ? 0.45 : state === "removed" ? 0.75 : 1}">${parts.join("")}</g>`;
}

const title = (x: number, y: number, box: Box, colour: string, more = ""): string =>
  `<text x="${x}" y="${y}"${more} font-size="12" font-weight="600" fill="${colour}">${escaped(cut(box.name))}</text>`;

function outline(state: BoxState): string {
  const colours = palette();
  return state === "added" ? colours.added : state === "removed" ? colours.removed : colours.line;
}

function arrow(points: number[], colour: string): string {
  const n = points.length;
  const [x, y] = [points[n - 2], points[n - 1]];
  if (points[n - 3] !== y) return "";
  const back = x - Math.sign(x - points[n - 4]) * 6;
  return `<path d="M${x} ${y}L${back} ${y - 3}L${back} ${y + 3}Z" fill="${colour}" stroke="none"/>`;
}
