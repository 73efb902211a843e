import { UserError } from "../errors.ts";
import { nearest } from "./nearest.ts";

/** Where an in-painting mask comes from: drawn by the program, or read from `likelihood.forward_op.mask_filename`. */
export type MaskOrigin = "box" | "freeform" | "file";

/** One degradation of `algo.deg`, as its name says it. */
export type Degradation =
  | {
      readonly kind:
        "deno" | "deblur_uni" | "deblur_gauss" | "deblur_nl" | "color" | "hdr" | "phase_retrieval" | "ct";
    }
  | { readonly kind: "sr" | "bicubic"; readonly scale: number }
  | { readonly kind: "jpeg"; readonly quality: number }
  | { readonly kind: "quant"; readonly bits: number }
  /** `mask` null: a mask file when one is given, else a generated free-form mask. */
  | { readonly kind: "inp" | "in2"; readonly mask: MaskOrigin | null };

const PLAIN = [
  "deno",
  "deblur_uni",
  "deblur_gauss",
  "deblur_nl",
  "color",
  "hdr",
  "phase_retrieval",
  "ct",
] as const;
const GRAMMAR = [
  "sr{k}",
  "bicubic{k}",
  "inp",
  "inp_box",
  "inp_freeform",
  "in2",
  "in2_box",
  "in2_freeform",
  "jpeg{q}",
  "quant{n}",
  ...PLAIN,
];

/**
 * The degradations of `algo.deg`, in the order in which they are applied (spec, section 7); several are joined
 * by `-`. sr{k}, bicubic{k}: k >= 2; jpeg{q}: q in 1..100; quant{n}: n in 1..8.
 * Throws a UserError that names the grammar for any other word.
 */
export function parseDegradation(deg: string): readonly Degradation[] {
  return deg.split("-").map((word) => parseOne(deg, word));
}

function parseOne(deg: string, word: string): Degradation {
  const plain = PLAIN.find((name) => name === word);
  if (plain !== undefined) return { kind: plain };
  const mask = /^(inp|in2)(?:_(box|freeform))?$/.exec(word);
  if (mask !== null) {
    const source = mask[2] as "box" | "freeform" | undefined;
    return { kind: mask[1] as "inp" | "in2", mask: source ?? null };
  }
  const numbered = /^(sr|bicubic|jpeg|quant)(\d{0,4})$/.exec(word);
  if (numbered === null) {
    const known = GRAMMAR.join(", ");
    throw new UserError(
      `algo.deg: no such degradation; got ${deg}; expected ${known}; nearest is ${suggest(word)}`,
    );
  }
  const n = Number(numbered[2]);
  switch (numbered[1]) {
    case "jpeg":
      if (n >= 1 && n <= 100) return { kind: "jpeg", quality: n };
      throw outside(deg, "jpeg{q} with a quality q from 1 to 100, for instance jpeg20");
    case "quant":
      if (n >= 1 && n <= 8) return { kind: "quant", bits: n };
      throw outside(deg, "quant{n} with n from 1 to 8 bits, for instance quant3");
    default: {
      const kind = numbered[1] === "sr" ? "sr" : "bicubic";
      if (n >= 2) return { kind, scale: n };
      throw outside(deg, `${kind}{k} with a factor k of 2 or more, for instance ${kind}4`);
    }
  }
}

function suggest(word: string): string {
  const digits = /\d+/.exec(word)?.[0] ?? "";
  const shape = nearest(word.replace(/\d+/, "{}"), GRAMMAR) ?? "sr{k}";
  return shape.replace(/\{.\}/, digits === "" ? "4" : digits);
}

function outside(deg: string, expected: string): UserError {
  return new UserError(`algo.deg: wrong degradation; got ${deg}; expected ${expected}`);
}

/** Refuses a factor of `sr{k}` or `bicubic{k}` that does not divide `side`, with the factors that do. */
export function checkSide(deg: string, side: number): void {
  for (const part of parseDegradation(deg)) {
    if ((part.kind === "sr" || part.kind === "bicubic") && side % part.scale !== 0) {
      const fits = Array.from({ length: side - 1 }, (_, i) => i + 2).filter((k) => side % k === 0);
      const choices = fits.map((k) => `${part.kind}${k}`).join(", ");
      throw new UserError(
        `algo.deg: ${part.kind}${part.scale} does not divide the image side ${side}; expected ${choices}`,
      );
    }
  }
}

/**
 * The likelihood (group `likelihood`) of a degradation: that of its first part which has options of its own
 * (`sr4-deno` is `sr4`), else `plain`, A x + noise with no options.
 */
export function likelihoodOf(deg: string): string {
  for (const part of parseDegradation(deg)) {
    if (part.kind === "sr") return `sr${part.scale}`;
    if (part.kind === "hdr" || part.kind === "ct" || part.kind === "phase_retrieval") return part.kind;
    if (part.kind === "inp" || part.kind === "in2") return "inp";
    if (part.kind.startsWith("deblur")) return "blur";
  }
  return "plain";
}

/** The degradation that a likelihood stands for where `algo.deg` is left open. */
export function degradationOf(likelihood: string): string {
  if (likelihood === "blur") return "deblur_gauss";
  return likelihood === "plain" ? "deno" : likelihood;
}

/** What the degradation alone says of its operator: the factor of super-resolution and where masks come from. */
export function operatorOf(deg: string): { readonly scale: number | null; readonly mask: MaskOrigin | null } {
  const parts = parseDegradation(deg);
  const scales = parts.flatMap((part) => ("scale" in part ? [part.scale] : []));
  const masks = parts.flatMap((part) => ("mask" in part ? [part.mask] : []));
  return { scale: scales[0] ?? null, mask: masks[0] ?? null };
}

/**
 * Input channels of the h-transform (spec, section 3) for pictures of `channels` channels: x_t, x̂0 (with
 * `useX0hat`) and the guidance; in-painting adds y and the mask (1 channel), phase retrieval two estimates.
 */
export function conditioningChannels(deg: string, channels: number, useX0hat: boolean): number {
  const base = channels * (useX0hat ? 3 : 2);
  switch (likelihoodOf(deg)) {
    case "inp":
      return base + channels + 1;
    case "phase_retrieval":
      return base + 2 * channels;
    default:
      return base;
  }
}

/** Sizes of box masks, given for side 256, at this side (rounded, at least 1). */
export function maskSizes(
  minSize: number,
  maxSize: number,
  side: number,
): { readonly min: number; readonly max: number } {
  const at = (size: number) => Math.min(side, Math.max(1, Math.round((size * side) / 256)));
  return { min: at(minSize), max: at(maxSize) };
}
