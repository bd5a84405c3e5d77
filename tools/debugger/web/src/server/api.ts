// Questions to the server. Addresses are relative: the folder of the page has the token.
import type { Density, Refusal } from "./shapes";

/** What the server would not answer, with the hint of what to do next. */
export class Refused extends Error {
  constructor(
    readonly refusal: Refusal,
    readonly status: number,
  ) {
    super(refusal.message);
  }
}

export type Parameters = Record<string, string | number | boolean | null | undefined>;

export function address(path: string, parameters: Parameters = {}): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
  return `api/v1/${path}${query ? `?${query}` : ""}`;
}

async function fetched(path: string, parameters: Parameters, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address(path, parameters), { signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refused({ kind: "Gone", message: "the server does not answer", hint: "Start ezmsg-ledger debug again." }, 0);
  }
  if (response.ok) return response;
  let refusal: Refusal;
  try {
    refusal = await response.json();
  } catch {
    refusal = { kind: "Unknown", message: `the server answered ${response.status}`, hint: "" };
  }
  throw new Refused(refusal, response.status);
}

export async function ask<T>(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<T> {
  return (await fetched(path, parameters, signal)).json();
}

/** The seq that a moment names, which the server is asked for unless it is one. */
export async function seqOf(moment: string): Promise<number> {
  if (/^\d+$/.test(moment.trim())) return Number(moment);
  return (await ask<Density>("density", { from: moment, to: moment, buckets: 1 })).to.seq;
}

export async function octets(path: string, parameters: Parameters = {}): Promise<ArrayBuffer> {
  return (await fetched(path, parameters)).arrayBuffer();
}
