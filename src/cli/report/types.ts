/** Rows of the table of measures, in the order shown. */
export const METHODS = ["pinv", "bicubic", "prior", "deft", "deft_mean4"] as const;
export type Method = (typeof METHODS)[number];

/** Columns of the picture grid. */
export type GridColumn = "original" | "measurement" | Method;

/** Means over the evaluated pictures: PSNR in dB, SSIM, PSNR of A x̂ against y in dB, LPIPS where its weights were given. */
export interface Scores {
  psnr: number;
  ssim: number;
  consistency: number;
  lpips?: number;
  fid?: number;
  /** Times 1000. */
  kid?: number;
  inception_score?: number;
  /** Share of the pictures that the classifier takes for their class. */
  top1?: number;
}

/** The adapter that computed: its sort, its own name, and the line that says why it was taken. */
export interface AdapterFacts {
  kind: string;
  name: string;
  line: string;
}

/** The content of summary.json. A method that has no meaning for the task is absent from `metrics`. */
export interface Summary {
  task: string;
  adapter: AdapterFacts;
  parameters: { prior: number; htransform: number };
  metrics: Partial<Record<Method, Scores>>;
  seconds: { train: number; sample: number; total: number };
  steps: number;
  network_calls: number;
  gpu_peak_bytes: number;
  /** SHA-256 over the final tensors of the h-transform in order of name, in hexadecimal. */
  htransform_sha256: string;
  /** What each measure that was not made needs. */
  measures_left_out: { readonly [measure: string]: string };
  /** Class of each restored picture; absent: they have none. */
  classes?: readonly number[];
}

const INCEPTION = "metrics.inception_path and two pictures";

/** Measures that need something from the user: what, the head of their column, and which end is best. */
export const WEIGHTED_MEASURES = [
  { key: "lpips", needs: "metrics.lpips_path and originals", head: "LPIPS", digits: 3, best: "smallest" },
  { key: "fid", needs: INCEPTION, head: "FID", digits: 1, best: "smallest" },
  { key: "kid", needs: INCEPTION, head: "KID·10³", digits: 2, best: "smallest" },
  { key: "inception_score", needs: INCEPTION, head: "Inception", digits: 2, best: "largest" },
  { key: "top1", needs: "classifier.ckpt_path and classes", head: "Top-1", digits: 3, best: "largest" },
] as const;

/** Measures of pictures alone, with nothing to compare them with. */
const OF_PICTURES: readonly string[] = ["inception_score", "top1"];

/** What each measure that was not made needs. */
export function measuresLeftOut(
  metrics: { readonly [method: string]: Partial<Scores> | undefined },
  withoutOriginals = false,
): { readonly [measure: string]: string } {
  const missing = WEIGHTED_MEASURES.filter(
    ({ key }) =>
      (!withoutOriginals || OF_PICTURES.includes(key)) &&
      Object.values(metrics).every((s) => s?.[key] === undefined),
  );
  return Object.fromEntries(missing.map(({ key, needs }) => [key, needs]));
}

/** The text that names them, or null where all are there. */
export function unmeasured(...of: Parameters<typeof measuresLeftOut>): string | null {
  const missing = measuresLeftOut(...of);
  const texts = WEIGHTED_MEASURES.filter(({ key }) => key in missing).map(
    ({ head, needs }) => `${head} (${needs})`,
  );
  return texts.length > 0 ? `Not measured, with what they need: ${texts.join(", ")}.` : null;
}

/** A warning where the mean of the samples has a lower PSNR than what needs no network, else null. */
export function shortfall({ pinv, bicubic, deft_mean4: mean }: Summary["metrics"]): string | null {
  const simple = [
    { name: "A†y", psnr: pinv?.psnr ?? -Infinity },
    { name: "bicubic", psnr: bicubic?.psnr ?? -Infinity },
  ].reduce((a, b) => (b.psnr > a.psnr ? b : a));
  if (!mean || !(mean.psnr < simple.psnr)) return null;
  const lost = (simple.psnr - mean.psnr).toFixed(2);
  return `The mean of four DEFT samples is ${lost} dB below ${simple.name} here. Train it longer, or give it a prior that has learned pictures such as these (deft pretrain --help).`;
}

/** One evaluated picture: PNG files in base64, and PSNR in dB where known. */
export interface GridRow<C extends string = GridColumn> {
  label: string;
  pictures: Partial<Record<C, string>>;
  psnr?: Partial<Record<C, number>>;
}

/** Everything the report shows. Texts are plain; the report escapes them. */
export interface ReportData {
  summary: Summary;
  /** Headline, for instance "4× super-resolution". */
  title: string;
  /** What was done to each picture, to follow "each picture was": "shrunk to a quarter of its side". */
  degradation: string;
  /** Number of pictures behind the table. */
  evaluatedPictures: number;
  grid: readonly GridRow[];
  /** Training loss by step. */
  loss: readonly { step: number; loss: number }[];
  /** Gate of the h-transform by time step t. */
  gate: readonly { t: number; s: number }[];
  /** Strips of x̂0 from noise (left) to the finished picture (right), PNG in base64. */
  evolution: readonly { label: string; png: string }[];
  batchSize: number;
  /** Training speed. */
  imagesPerSecond: number;
  seed: number;
  /** A command line that repeats the run. */
  command: string;
  /** The resolved configuration as YAML. */
  config: string;
}
