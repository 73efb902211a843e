// Restoring by optimisation: Adam on the picture itself, with the prior's opinion at noisy copies of it (reddiff and its kin).
import { adamStep, affine, concat, lincomb, reshape, sum, type Tensor } from "../../tensor/index.ts";
import { addNoise, impliedEps, predictX0 } from "../denoiser.ts";
import { pullResidual, type Problem } from "./algorithm.ts";

/** Adam as RED-diff uses it (Mardani et al. 2024, section 5). */
const ADAM = { beta1: 0.9, beta2: 0.99, eps: 1e-8 } as const;

export interface Objective {
  readonly lr: number;
  /** v of the measurement's term. */
  readonly obsWeight: number;
  /** Dispersion of q = N(μ, σ_x0² I). */
  readonly sigmaX0: number;
  /** Weight of the prior's term at timestep t. */
  readonly weight: (t: number) => number;
  /** The noise residual is against q's own score instead of the noise that was drawn: no variance from that draw. */
  readonly againstScore?: boolean;
}

/**
 * Adam on μ from A†y. A round draws x0 = μ + σ_x0 z and, for each of its timesteps, x_t = √ᾱ_t x0 + √(1−ᾱ_t) n; the loss is the mean
 * over the timesteps of w_t·mean(sg[ε_θ(x_t) − n]·x0), plus obsWeight·mean((y − A x0)²)/2; both means run over the whole batch.
 * One network call a round, of as many pictures as the batch has times the round's timesteps. Returns μ.
 */
export async function optimise(
  p: Problem,
  o: Objective,
  rounds: Iterable<readonly number[]>,
): Promise<Tensor> {
  const { engine, operator } = p;
  // A copy: the pseudo-inverse may be the measurement itself, and Adam writes in place.
  const mu = engine.noGrad(() => engine.scope(() => affine(operator.pinv(p.y), 1, 0)));
  const zeros = () => engine.tensor(new Float32Array(mu.size), mu.shape, "moments");
  const [m, v] = [zeros(), zeros()];
  let k = 0;
  for (const levels of rounds) {
    const step = engine.noGrad(() =>
      engine.scope(() => {
        const { gradient, ...seen } = round(p, o, mu, levels);
        adamStep(engine, { params: mu, grads: gradient, m, v }, { ...ADAM, step: k + 1, lr: o.lr });
        return seen;
      }),
    );
    await p.onStep?.(k++, { t: levels[0] as number, ...step });
    await engine.device.queue.pace();
    for (const t of [step.xt, step.x0, step.picture]) t.dispose();
  }
  m.dispose();
  v.dispose();
  return mu;
}

/** The gradient of a round's loss by μ. */
function round(
  p: Problem,
  o: Objective,
  mu: Tensor,
  levels: readonly number[],
): { gradient: Tensor; xt: Tensor; x0: Tensor; picture: Tensor } {
  const { engine, schedule, draws } = p;
  const stacked = (part: () => Tensor): Tensor => concat(levels.map(part), 0);
  const copies = (x: Tensor): Tensor => (levels.length === 1 ? x : stacked(() => x));
  const ts = Float32Array.from(levels.flatMap((t) => new Array<number>(mu.dim(0)).fill(t)));
  const picture = lincomb(1, mu, o.sigmaX0, draws.normal(mu.shape));
  const noise = stacked(() => draws.normal(mu.shape));
  const xt = addNoise(schedule, copies(picture), noise, ts);
  const eps = p.prior(xt, ts);
  const target = o.againstScore ? impliedEps(schedule, xt, copies(mu), ts, o.sigmaX0) : noise;
  const weights = ts.map((t) => o.weight(t) / (levels.length * mu.size));
  const [w, minus] = [weights, weights.map((x) => -x)].map((list) => engine.tensor(list));
  const weighted = lincomb(w as Tensor, eps, minus as Tensor, target);
  const fromPrior = sum(reshape(weighted, [levels.length, ...mu.shape]), { axes: [0] });
  const gradient = lincomb(1, fromPrior, -o.obsWeight / p.y.size, pullResidual(p, picture));
  return { gradient, xt, x0: predictX0(schedule, xt, eps, ts), picture };
}
