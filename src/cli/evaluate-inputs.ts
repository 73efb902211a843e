// What `deft evaluate` measures: which pictures, beside which originals, of which classes.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { UserError } from "../deft/errors.ts";
import { classesOf, listPictures } from "../io/image-folder.ts";
import { SUMMARY } from "./run-folder.ts";
import type { Summary } from "./sample-results.ts";

export interface EvaluateRequest {
  /** The folder of a run, or of pictures. */
  readonly samples: string;
  /** A folder of originals; null: the run's own. */
  readonly against: string | null;
  /** Class numbers, in turn; null: those of the run or of the class folders. */
  readonly classes: readonly number[] | null;
}

export interface EvaluatedPicture {
  readonly file: string;
  /** Its original; null where sets are compared as wholes. */
  readonly original: string | null;
  /** Null: not known. */
  readonly label: number | null;
}

export interface EvaluateInputs {
  readonly rows: ReadonlyMap<string, readonly EvaluatedPicture[]>;
  readonly originals: readonly string[];
}

const PICTURES = "pictures";

/** Companions of a run's samples that are no restored pictures. */
const COMPANION = /^(deg|evol|.*std|sample\d+)$/;

interface Named {
  /** What sample and original have in common. */
  readonly key: string;
  readonly file: string;
}

/** Throws a UserError where originals are missing, or fit some of the pictures only. */
export async function planEvaluation(request: EvaluateRequest): Promise<EvaluateInputs> {
  const { samples, against } = request;
  const isRun = existsSync(path.join(samples, "config.yaml"));
  const pictures = isRun ? null : await named(samples, "evaluate", EVALUATE);
  if (pictures && against === null)
    throw new UserError(
      `evaluate: ${samples} is no run's folder; pass --against ORIGINALS, a folder of the originals under the same names`,
    );
  const given = against === null ? [] : await named(against, "--against", "--against FOLDER");
  const { rows, own } = pictures
    ? { rows: folderRows(pictures, new Set(given.map(({ key }) => key))), own: [] }
    : await runRows(samples);
  const originals = against === null ? own : given;
  const byKey = new Map(originals.map(({ key, file }) => [key, file]));
  const labels = await labelsOf(request, originals);
  const planned = new Map<string, EvaluatedPicture[]>();
  for (const [row, pictures] of rows) {
    const missing = pictures.filter(({ key }) => !byKey.has(key));
    if (missing.length > 0 && (against === null || missing.length < pictures.length))
      throw new UserError(
        against === null
          ? `evaluate: ${samples} holds no original of ${missing[0]?.key}; draw with exp.save_ori=true, or pass --against ORIGINALS`
          : `--against: ${against} holds no picture named ${missing[0]?.key}, as others of ${samples} have; pass originals of all, or of none for measures of whole sets`,
      );
    planned.set(
      row,
      pictures.map(({ key, file }, i) => ({ file, original: byKey.get(key) ?? null, label: labels(key, i) })),
    );
  }
  return { rows: planned, originals: originals.map(({ file }) => file) };
}

/** Restored pictures of a run by what follows their number: its samples, means, or algorithms; and the originals. */
async function runRows(run: string): Promise<{ rows: Map<string, Named[]>; own: Named[] }> {
  const folder = path.join(run, PICTURES);
  if (!existsSync(folder))
    throw new UserError(`evaluate: ${run} holds no pictures yet; go on with the run, or pass another folder`);
  const rows = new Map<string, Named[]>();
  const own: Named[] = [];
  for (const name of await listPictures(folder, "evaluate", EVALUATE)) {
    const [, key, suffix = "sample"] = /^(\d{5,})(?:_(\w+))?\.png$/.exec(name) ?? [];
    if (key === undefined || COMPANION.test(suffix)) continue;
    const picture = { key, file: path.join(folder, name) };
    if (suffix === "ori") own.push(picture);
    else rows.set(suffix, [...(rows.get(suffix) ?? []), picture]);
  }
  return { rows, own };
}

/** What `deft restore num_samples=` writes beside NAME: its mean and the map of its deviation. */
const BESIDE = /_(mean|std)$/;

/** Pictures of a folder as one row, and means that lie beside their samples as another; a picture with an original of just its name is a sample. */
function folderRows(
  pictures: readonly Named[],
  originals: ReadonlySet<string>,
): ReadonlyMap<string, Named[]> {
  const keys = new Set(pictures.map(({ key }) => key));
  const [samples, means] = [[] as Named[], [] as Named[]];
  for (const picture of pictures) {
    const { key, file } = picture;
    const of = key.replace(BESIDE, "");
    if (of === key || originals.has(key) || !keys.has(of)) samples.push(picture);
    else if (key.endsWith("_mean")) means.push({ key: of, file });
  }
  return new Map(
    Object.entries({ samples, means }).filter(([row, { length }]) => row === "samples" || length > 0),
  );
}

const EVALUATE = "deft evaluate FOLDER";

async function named(folder: string, option: string, pass: string): Promise<Named[]> {
  const files = await listPictures(folder, option, pass);
  return files.map((name) => ({ key: name.replace(/\.[^./]+$/, ""), file: path.join(folder, name) }));
}

type LabelOf = (key: string, index: number) => number | null;

async function labelsOf(
  { samples, against, classes }: EvaluateRequest,
  originals: readonly Named[],
): Promise<LabelOf> {
  if (classes?.length) return (_, index) => classes[index % classes.length] ?? null;
  const summary = path.join(samples, SUMMARY);
  if (existsSync(summary)) {
    const { classes: drawn } = JSON.parse(readFileSync(summary, "utf8")) as Partial<Summary>;
    if (drawn) return (key) => drawn[Number(key)] ?? null;
  }
  const keys = against === null ? [] : originals.map(({ key }) => key);
  const found = keys.length > 0 ? classesOf(keys) : null;
  return (key) => found?.get(key) ?? null;
}
