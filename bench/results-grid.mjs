// What is tried for each method before docs/results.md is measured.

/** Options of each method, by the strength that a task's gradient needs. DEFT is trained, so only its steps and η vary. */
const common = {
  deft: [{ eta: 1 }, { eta: 0.5 }, { eta: 0 }],
  ddrm: [{ eta: 0.85 }, { eta: 0.5 }, { eta: 1 }],
  reddiff: [
    { lr: 0.1, grad_term_weight: 0.25 },
    { lr: 0.1, grad_term_weight: 0.05 },
    { lr: 0.2, grad_term_weight: 0.25 },
    { lr: 0.1, grad_term_weight: 1 },
  ],
  pgdm: [...[1, 0.5, 2, 4].map((weight) => ({ grad_term_weight: weight })), { grad_term_weight: 1, eta: 1 }],
};
const dps = (...weights) => weights.map((weight) => ({ grad_term_weight: weight }));
/** DDPM's noise in each step, as the method was published. */
const noisy = (weight) => ({ grad_term_weight: weight, eta: 1 });

/** A sinogram's gradient is some 44 times that of a picture. */
const reddiffCt = [0.25, 2.5, 25, 100].map((weight) => ({ lr: 0.1, grad_term_weight: weight }));

/** Its default has a term for contrast. */
const pgdmHdr = [...common.pgdm, { grad_term_weight: 1, contrast_weight: 0 }];

/** Settings by experiment and method. */
export const grids = {
  sr4: { ...common, dps: [...dps(1, 3, 10, 30), noisy(10)] },
  inp: { ...common, dps: [...dps(0.3, 1, 3, 10), noisy(3)] },
  hdr: { ...common, dps: [...dps(0.3, 1, 3, 10), noisy(3)], pgdm: pgdmHdr },
  phase_retrieval: { ...common, dps: [...dps(0.3, 1, 3, 10), noisy(3)] },
  deblur_gauss: { ...common, dps: [...dps(0.3, 1, 3, 10), noisy(3)] },
  deblur_nl: { ...common, dps: [...dps(0.3, 1, 3, 10), noisy(3)] },
  ct: { ...common, dps: [...dps(0.03, 0.1, 0.3, 0.01, 0.003, 1, 3), noisy(1)], reddiff: reddiffCt },
};

/** Settings of a method that are tried at the long number of steps too: the best at the common one. */
export const KEPT = 1;
/** Steps at which DEFT is tried besides. */
export const SHORT = [10];

export const methods = ["deft", "dps", "pgdm", "reddiff", "ddrm"];

/** The words that give a method its setting. */
export const wordsOf = (method, setting) =>
  Object.entries(setting).map(([key, value]) => `compare.${method}.${key}=${value}`);

/** Setting k of every method that has one: what one run of `deft compare` tries. */
export function rounds(settings) {
  const most = Math.max(...Object.values(settings).map((list) => list.length));
  return Array.from({ length: most }, (_, k) =>
    Object.fromEntries(
      Object.entries(settings).flatMap(([method, list]) => (k < list.length ? [[method, list[k]]] : [])),
    ),
  );
}

/** The tries of a method from the best down: by PSNR of one sample, what is no number last. */
export function ranked(tries, method) {
  const psnr = (t) => (Number.isFinite(t.psnr) ? t.psnr : -Infinity);
  return tries.filter((t) => t.method === method).sort((a, b) => psnr(b) - psnr(a));
}
