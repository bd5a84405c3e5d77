// The view as a picture: SVG with real shapes and texts, or PNG. Made in the page; nothing leaves it but the download.
import { cut, view } from "./Graph";
import { model } from "./model";
import { palette } from "./palette";
import { get } from "./store";

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

function picture(): { text: string; width: number; height: number } | null {
  const drawing = model.drawing;
  if (!drawing || !view.painter) return null;
  const colours = palette();
  const width = drawing.width + 2 * PADDING;
  const height = drawing.height + 2 * PADDING;
  const out: string[] = [];
  const paint = { added: colours.added, removed: colours.removed, others: colours.others, between: colours.between, on: colours.edge, off: "" };
  const dash = { added: "", removed: ' stroke-dasharray="6 4"', others: ' stroke-dasharray="2 3"', between: ' stroke-dasharray="1 4"', on: "", off: "" };
  for (const box of drawing.boxes) {
    if (box.kind !== "collection") continue;
    out.push(`<rect x="${box.x}" y="${box.y}" width="${box.w}" height="${box.h}" rx="10" fill="${colours.nest[0]}" stroke="${colours.line}"/>`);
    out.push(`<text x="${box.x + 10}" y="${box.y + 16}" font-size="12" font-weight="600" fill="${colours.second}">${escaped(cut(box.name))}</text>`);
  }
  for (const segment of drawing.segments) {
    const states = new Set(segment.edges.map((edge) => model.edgeState(edge)));
    for (const state of ["on", "between", "removed", "others", "added"] as const) {
      if (!states.has(state)) continue;
      const points = segment.points.map((value, i) => (i % 2 ? `${value} ` : `${value},`)).join("");
      out.push(`<polyline points="${points.trim()}" fill="none" stroke="${paint[state]}" stroke-width="${state === "on" ? 1.3 : 2.2}" stroke-linejoin="round"${dash[state]}/>`);
    }
  }
  const present = model.boxesNow(new Uint16Array(0));
  for (const box of drawing.boxes) {
    const there = present[box.place] > 0;
    if (box.kind !== "collection") {
      out.push(`<g opacity="${there ? 1 : 0.4}"><rect x="${box.x}" y="${box.y}" width="${box.w}" height="${box.h}" rx="6" fill="${colours.paper}" stroke="${colours.line}"/>`);
      const centred = box.kind !== "unit";
      out.push(
        centred
          ? `<text x="${box.x + box.w / 2}" y="${box.y + box.h / 2 + 4}" text-anchor="middle" font-size="12" font-weight="600" fill="${colours.text}">${escaped(cut(box.name))}</text>`
          : `<text x="${box.x + 10}" y="${box.y + 16}" font-size="12" font-weight="600" fill="${colours.text}">${escaped(cut(box.name))}</text>`,
      );
      if (!centred) {
        for (const port of box.ports) {
          const right = port.side === "out";
          out.push(`<text x="${right ? port.x - 8 : port.x + 8}" y="${port.y + 3.5}" ${right ? 'text-anchor="end" ' : ""}font-size="10" fill="${colours.second}">${escaped(cut(port.name))}</text>`);
        }
      }
      out.push("</g>");
    }
  }
  const text =
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="${-PADDING} ${-PADDING} ${width} ${height}" font-family="system-ui, sans-serif">` +
    `<title>${escaped(`${model.ledger.name} at seq ${get().at}`)}</title>` +
    `<rect x="${-PADDING}" y="${-PADDING}" width="${width}" height="${height}" fill="${colours.paper}"/>${out.join("")}</svg>`;
  return { text, width, height };
}
