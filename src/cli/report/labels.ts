import type { GridColumn, Method } from "./types.ts";

/** Heads of the picture grid, in the order shown. */
export const COLUMN_LABELS: Record<GridColumn, string> = {
  original: "Original",
  measurement: "Measurement y",
  pinv: "A†y",
  bicubic: "Bicubic",
  prior: "Prior without learning",
  deft: "One DEFT sample",
  deft_mean4: "Mean of four",
};

/** Rows of the table: name and what it is. */
export const METHOD_LABELS: Record<Method, { name: string; meaning: string }> = {
  pinv: { name: "A†y", meaning: "the damage undone by algebra alone" },
  bicubic: { name: "Bicubic", meaning: "the usual smooth enlargement" },
  prior: { name: "Prior without learning", meaning: "drawn by the frozen prior, made to fit y in each step" },
  deft: { name: "DEFT, one sample", meaning: "drawn by the prior and the h-transform" },
  deft_mean4: { name: "DEFT, mean of four", meaning: "the average of four samples" },
};
