// Made from the Structs of the server: make page

export interface AskedMoment {
  text: string;
  how: string;
  seq: number;
  time: number;
}

export interface Bucket {
  first: number;
  last: number;
  begin: number;
  end: number;
  events: number;
  connected: number;
  facts: number;
}

export interface Cause {
  seq: number;
  time: number;
  kind: string;
  text: string;
  type: string;
  session?: number | null;
  label?: string | null;
  process?: number | null;
  by?: string | null;
}

export interface Clock {
  seq: number;
  offset: number;
  clock: number | null;
}

export interface Density {
  ledger: string;
  id: string;
  from: AskedMoment;
  to: AskedMoment;
  by: "seq" | "time";
  buckets: Bucket[];
}

export interface Diff {
  edges: (Record<string, unknown>)[];
  sessions: (Record<string, unknown>)[];
  components: (Record<string, unknown>)[];
  settings: (Record<string, unknown>)[];
  processes: (Record<string, unknown>)[];
  endpoints: (Record<string, unknown>)[];
  graph?: (Record<string, unknown>)[];
  requests?: (Record<string, unknown>)[];
  ledger: string;
  id: string;
  with: Which | null;
  by_name: boolean;
  a: AskedMoment;
  b: AskedMoment;
  same: boolean;
}

export interface Differences {
  edges: (Record<string, unknown>)[];
  sessions: (Record<string, unknown>)[];
  components: (Record<string, unknown>)[];
  settings: (Record<string, unknown>)[];
  processes: (Record<string, unknown>)[];
  endpoints: (Record<string, unknown>)[];
  graph?: (Record<string, unknown>)[];
  requests?: (Record<string, unknown>)[];
}

export interface Document {
  version: number;
  seq: number;
  generation: number;
  width: number;
  height: number;
  simplified: boolean;
  boxes: PlacedBox[];
  edges: ([string, string])[];
  segments: Segment[];
}

export interface Doubt {
  seq: number;
  time: number;
  kind: string;
  text: string;
}

export interface Doubts {
  ledger: string;
  id: string;
  moment: AskedMoment;
  doubts: SettingDoubt[];
}

export interface Edge {
  from_topic: string;
  to_topic: string;
}

export interface Endpoint {
  kind: string;
  uuid: string;
  topic: string | null;
  publisher: number | null;
  declared: string | null;
  advertised: string | null;
  peer: string | null;
  stalled: boolean;
  opened: number;
  id: number;
}

export interface Events {
  ledger: string;
  id: string;
  after: number;
  upto: number;
  next: number | null;
  events: (Record<string, unknown>)[];
  lines: Line[];
}

export interface Explanation {
  topic: string;
  moment: Moment;
  subscribers: number[];
  upstream: Upstream[];
  stalled: Life[];
  paused: Life | null;
  reasons: string[];
  loops?: string[][];
  ledger: string;
  id: string;
}

export interface FieldChange {
  path: string;
  before: unknown;
  after: unknown;
  missing?: string | null;
  note?: string | null;
}

export interface Gap {
  type: "gap";
  seq?: number;
  time?: number;
  first: number;
  last: number;
  lost: number;
  late: number;
  reason: string;
  topology?: number;
  settings?: number;
  unseen?: number;
}

export interface History {
  subject: string;
  lives: Life[];
  spans: Span[];
  ns: number;
  left_out?: number;
  ledger: string;
  id: string;
  placement: Placement | null;
}

export interface InForce {
  serialized: unknown;
  repr_value: unknown;
  structured_value: unknown;
  settings_schema: unknown;
  session: string | null;
  process: string | null;
  since: number;
}

export interface Jump {
  seq: number;
  kind: string;
  ns: number;
  was: number;
  now: number;
}

export interface Ledger {
  ledger: string;
  id: string;
  name: string;
  version: string;
  epoch: number;
  created: number;
  first: number;
  head: number;
  written: boolean;
  runs: Run[];
  sessions: SessionLife[];
  sessions_count: number;
  marks: Mark[];
  clocks: Clock[];
  jumps: Jump[];
  gaps: Gap[];
  refusals: number[];
  refusals_count: number;
  losses: number[];
  losses_count: number;
  trouble: Trouble | null;
  other: Other | null;
}

export interface Life {
  kind: string;
  name: string;
  born: number;
  died: number | null;
  came: Cause;
  went: Cause | null;
  owner?: number | null;
  label?: string | null;
  value?: unknown;
  ended?: number | null;
}

export interface Likely {
  topic: string;
  endpoint: number;
  peer: string | null;
  unit: string | null;
  process: number | null;
}

export interface Line {
  first: number;
  last: number;
  time: number;
  type: string;
  text: string;
  tone: string;
}

export interface Mark {
  type: "mark";
  seq?: number;
  time?: number;
  name: string;
  note?: string | null;
  author?: string | null;
  happened?: number | null;
  source?: string | null;
}

export interface Moment {
  text: string;
  seq: number;
  time: number;
  how: string;
  since: number;
}

export interface Other {
  ledger: string;
  id: string;
  head: number;
}

export interface OwnedEdge {
  from_topic: string;
  to_topic: string;
  owners: string[];
}

export interface Path {
  a: string;
  b: string;
  moment: Moment;
  through_units: boolean;
  steps: Step[];
  spans: Way[];
  broken: number;
  ns: number;
  cut: Cause | null;
  cut_edges: string[];
  ledger: string;
  id: string;
}

export interface PlacedBox {
}

export interface PlacedPort {
}

export interface Placement {
  unit: string;
  stays: Stay[];
  moves: number;
  current: Stay | null;
}

export interface Refusal {
  kind: string;
  message: string;
  hint: string;
}

export interface Request {
  id: number;
  uuid: string;
  session: string | null;
  unit: string;
  operation: string;
  process: string | null;
  routed: number;
}

export interface Run {
  number: number;
  id: number;
  name: string;
  started: number;
  last_seq: number | null;
  ended: number | null;
  reason: string | null;
}

export interface Segment {
}

export interface SessionLife {
  id: number;
  uuid: string;
  label: string | null;
  peer: string | null;
  run: number;
  opened: number;
  born: number;
  died: number | null;
}

export interface SettingChange {
  seq: number;
  time: number;
  until: number | null;
  how: string;
  value: unknown;
  before: unknown;
  fields: FieldChange[];
  process: number | null;
  request: number | null;
  asked_by: number | null;
  label: string | null;
  likely: Likely[];
  came: Cause;
  went: Cause | null;
  asked_field?: string | null;
  asked?: unknown;
  answered?: unknown;
}

export interface SettingDoubt {
  seq: number;
  time: number;
  unit: string;
  field: string;
  kind: string;
  text: string;
  asked: unknown;
  answered: unknown;
  reported: unknown;
}

export interface SettingHistory {
  unit: string;
  field: string | null;
  moment: Moment;
  current: SettingChange | null;
  changes: SettingChange[];
}

export interface Settings {
  ledger: string;
  id: string;
  moment: AskedMoment;
  in_force: Record<string, InForce | null>;
  history: SettingHistory | null;
}

export interface Span {
  born: number;
  died: number | null;
  born_time: number;
  died_time: number | null;
  ns: number;
  clock?: string;
  came?: Cause | null;
  went?: Cause | null;
}

export interface State {
  ledger: string;
  id: string;
  moment: AskedMoment;
  seq: number;
  time: number;
  run: Run | null;
  paused: boolean;
  unknown: unknown;
  graph: Record<string, string[]>;
  edge_owners: OwnedEdge[];
  sessions: Record<string, StateSession>;
  processes: Record<string, StateProcess>;
  settings: Record<string, InForce>;
  endpoints: Endpoint[];
  loops: string[][];
  requests: Request[];
}

export interface StateProcess {
  id: number;
  process_id: string;
  pid: number | null;
  host: string | null;
  units: string[];
  peer: string | null;
  opened: number;
}

export interface StateSession {
  uuid: string;
  peer: string | null;
  label: string | null;
  opened: number;
  id: number;
  edges: Edge[];
  metadata: unknown;
}

export interface Status {
  epoch: number;
  head: number;
  written: boolean;
  trouble: Trouble | null;
}

export interface Stay {
  process: number;
  pid: number | null;
  host: string | null;
  born: number;
  died: number | null;
  came: Cause;
  went: Cause | null;
}

export interface Step {
  from_topic: string;
  to_topic: string;
  owners: string[];
}

export interface Trouble {
  kind: string;
  message: string;
  hint: string;
  seq: number;
}

export interface Upstream {
  topic: string;
  reaches: boolean;
  publishers: number[];
  published: boolean;
  since: number | null;
  until: number | null;
  cut: Cause | null;
  cut_edges: string[];
}

export interface Way {
  born: number;
  died: number | null;
  born_time: number;
  died_time: number | null;
  ns: number;
  clock?: string;
  came?: Cause | null;
  went?: Cause | null;
  topics?: string[];
}

export interface WhatIf {
  ledger: string;
  id: string;
  session: number;
  label: string;
  moment: Moment;
  events: number;
  gone_edges: ([string, string])[];
  gone_topics: string[];
  gone_components: string[];
  gone_settings: string[];
  doubts: Doubt[];
  differences: Differences;
}

export interface When {
  predicate: string;
  moment: Moment;
  spans: Span[];
  changes: number;
  first: number | null;
  last: number | null;
  ns: number;
  now: boolean;
  ledger: string;
  id: string;
}

export interface Which {
  ledger: string;
  id: string;
}

export interface Why {
  subject: string;
  moment: Moment;
  holds: boolean;
  lives: Life[];
  next: Cause | null;
  ledger: string;
  id: string;
}
