import { formatClock, formatNumber } from "./format.ts";

/** Where a loop stands: `step` of `total` done; loss and images/s where they mean something. */
export interface ProgressUpdate {
  step: number;
  total: number;
  loss?: number;
  imagesPerSecond?: number;
}

/** What a long loop tells the user. */
export interface Progress {
  /** Takes the newest figures; draws them only as often as a reader can follow. */
  update(state: ProgressUpdate): void;
  /** Prints a line of text without disturbing the bar. */
  print(line: string): void;
  /** Removes the bar and leaves one line with the last figures and the time taken. Calling it twice is harmless. */
  done(): void;
}

/** The part of a terminal or pipe that progress writes to. */
export interface ProgressStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

export interface ProgressOptions {
  /** Default: standard output, so that standard error holds errors only. */
  stream?: ProgressStream;
  /** A clock in milliseconds. */
  now?: () => number;
}

const REDRAW_MS = 100;
const LINE_MS = 5000;
/** The speed is taken over this span, so that the time left follows it but does not jump. */
const SPEED_SPAN_MS = 20_000;
const BAR_CELLS = { least: 8, most: 40 };
const CLEAR_LINE = "\r\u001b[K";

/**
 * Progress of one loop under a label: on a terminal a single line redrawn at most ten times a second, else a
 * plain line at first, about every five seconds and at the end. Call `update` with the step reached before the
 * loop too, so that the time left is known after its first step. Holds no timer: nothing keeps the process alive.
 */
export function createProgress(label: string, options: ProgressOptions = {}): Progress {
  const stream = options.stream ?? process.stdout;
  const now = options.now ?? (() => performance.now());
  const onTerminal = stream.isTTY === true && process.env["TERM"] !== "dumb";
  const started = now();
  const speed = new SpeedGauge();
  let last: ProgressUpdate | undefined;
  let drawnAt = -Infinity;
  let barIsUp = false;
  let finished = false;

  function draw(state: ProgressUpdate): void {
    drawnAt = now();
    const left = state.step < state.total ? speed.secondsFor(state.total - state.step) : 0;
    const figures = describe(state, `${formatClock(left)} left`);
    stream.write(
      onTerminal
        ? CLEAR_LINE + fitLine(label, state, figures, stream.columns ?? 80)
        : `${label} ${figures}\n`,
    );
    barIsUp = onTerminal;
  }
  function clear(): void {
    if (barIsUp) stream.write(CLEAR_LINE);
    barIsUp = false;
  }

  return {
    update(state) {
      if (finished) return;
      last = { ...state };
      speed.mark(state.step, now());
      if (now() - drawnAt >= (onTerminal ? REDRAW_MS : LINE_MS)) draw(state);
    },
    print(line) {
      clear();
      stream.write(`${line}\n`);
      if (onTerminal && last && !finished) draw(last);
    },
    done() {
      if (finished) return;
      finished = true;
      clear();
      if (last)
        stream.write(`${label} ${describe(last, `${formatClock((now() - started) / 1000)} in all`)}\n`);
    },
  };
}

/** Steps a second over the last marks. */
class SpeedGauge {
  #marks: { step: number; at: number }[] = [];

  mark(step: number, at: number): void {
    const newest = this.#marks.at(-1);
    // Marks stand 1/20 of the span apart; the newest one moves until it is that far from the one before it.
    const before = this.#marks.at(-2);
    if (newest && before && newest.at - before.at < SPEED_SPAN_MS / 20) this.#marks.pop();
    this.#marks.push({ step, at });
    while (this.#marks.length > 2 && at - this.#marks[1]!.at > SPEED_SPAN_MS) this.#marks.shift();
  }

  /** Seconds that so many steps take at the present speed; NaN while it is not known. */
  secondsFor(steps: number): number {
    const first = this.#marks[0];
    const newest = this.#marks.at(-1);
    if (!first || !newest || newest.step <= first.step) return NaN;
    return ((newest.at - first.at) / 1000 / (newest.step - first.step)) * steps;
  }
}

function describe({ step, total, loss, imagesPerSecond }: ProgressUpdate, time: string): string {
  const percent = total > 0 ? Math.floor((100 * Math.min(step, total)) / total) : 100;
  const parts = [`${percent}% ${step}/${total}`];
  if (loss !== undefined) parts.push(`loss ${Number.isNaN(loss) ? "NaN" : formatNumber(loss)}`);
  if (imagesPerSecond !== undefined) parts.push(`${formatNumber(imagesPerSecond, 3)} images/s`);
  parts.push(time);
  return parts.join(" · ");
}

/** Label, bar and figures in fewer characters than the terminal has columns: a full line would wrap and stay. */
function fitLine(label: string, { step, total }: ProgressUpdate, figures: string, columns: number): string {
  const room = columns - 1;
  const cells = Math.min(BAR_CELLS.most, room - label.length - figures.length - 2);
  if (cells < BAR_CELLS.least) return `${label} ${figures}`.slice(0, Math.max(0, room));
  const share = total > 0 ? Math.min(1, step / total) : 1;
  const full = Math.floor(share * cells);
  return `${label} ${"━".repeat(full)}${"┄".repeat(cells - full)} ${figures}`;
}
