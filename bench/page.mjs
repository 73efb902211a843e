// The sections of docs/performance.md that `npm run bench -- --peers` writes: one an adapter, replaced by the next run on it.
import { number, markdown } from "./table.mjs";

/** The least of the other engines' figures; Infinity where none has one. */
export const best = ({ peers }, field) =>
  Math.min(...Object.values(peers).flatMap((peer) => peer[field] ?? []));

const titleOf = (device) => `## Beside other engines on ${device}`;

/** `before` with the section of this comparison put in. */
export const page = (before, result) =>
  withSection(before, titleOf(result.device), section(titleOf(result.device), result));

/** `before` with `made`, which opens with `title`, in its old place or at the end. */
export function withSection(before, title, made) {
  const parts = before
    .trimEnd()
    .split(/^(?=## )/m)
    .map((part) => part.trimEnd());
  const at = parts.findIndex((part) => part.split("\n")[0] === title);
  if (at < 0) parts.push(made);
  else parts[at] = made;
  return parts.filter(Boolean).join("\n\n") + "\n";
}

function section(title, { rows, inexact, others, versions, commit, date, rounds }) {
  const cell = ({ ms, why }) => (ms === null ? why : number(ms));
  const ratio = (ours, theirs) => (Number.isFinite(theirs) ? (ours / theirs).toFixed(2) : "");
  const steady = rows.map((row) => [
    `\`${row.name}\``,
    number(row.ours.ms),
    ...others.map((engine) => cell(row.peers[engine])),
    ratio(row.ours.ms, best(row, "ms")),
  ]);
  const logs = rows.map((row) => Math.log(row.ours.ms / best(row, "ms"))).filter(Number.isFinite);
  const mean = Math.exp(logs.reduce((a, b) => a + b, 0) / Math.max(1, logs.length));
  const trained = rows.filter((row) => row.name.endsWith("_step"));
  const first = trained.map((row) => [
    `\`${row.name}\``,
    number(row.ours.first_ms),
    ...others.map((engine) => number(row.peers[engine].first_ms)),
    ratio(row.ours.first_ms, best(row, "first_ms")),
  ]);
  return [
    title,
    "",
    `Commit ${commit}, ${date.slice(0, 10)}, Node ${process.version}; ${versions.join(", ")}. ${rounds === 1 ? "Medians of one process each" : `Medians of ${rounds} processes each`}, in ms. Geometric mean of ours ÷ best: ${mean.toFixed(3)}.`,
    "",
    ...markdown(["case", "ours", ...others, "ours ÷ best"], steady),
    ...(inexact.length === 0
      ? []
      : [
          "",
          `Outputs that miss the reference: ${inexact.map((e) => `\`${e.name}\` of ${e.engine} by ${e.error}`).join(", ")} of their norm.`,
        ]),
    ...(first.length === 0
      ? []
      : [
          "",
          "The first training step of a process, compiling included:",
          "",
          ...markdown(["case", "ours", ...others, "ours ÷ best"], first),
        ]),
  ].join("\n");
}
