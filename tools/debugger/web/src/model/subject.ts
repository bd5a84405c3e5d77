// What can be selected, as the command line names it: "A -> B", "unit U", "topic T", "session 12", "process 7".

/** Its kind and its name; the kind of a bare name is not known. */
export function parts(subject: string): [kind: string, name: string] {
  if (subject.includes(" -> ")) return ["edge", subject];
  const space = subject.indexOf(" ");
  return [subject.slice(0, Math.max(0, space)), subject.slice(space + 1)];
}
