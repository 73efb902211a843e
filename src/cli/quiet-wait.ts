// Dawn in Node polls for finished GPU work in a loop of setImmediate, which keeps a core busy. On a CPU adapter that core is
// taken from the kernels themselves. While something is awaited, this loop sleeps a little in each round of the event loop.
const cell = new Int32Array(new SharedArrayBuffer(4));
const BRISK = 0.3; // ms: short work, which a sleep would hold up, is polled for
const SHORTEST = 0.05; // ms
const LONGEST = 1.5; // ms
let pending = 0;
/** Whether a round is on its way: one loop serves all that is awaited, however quickly waits follow each other. */
let resting = false;
let pause = SHORTEST;
let since = 0;

/** Lets the process rest until `settled` settles. DeviceOptions.waiting of every device that runs in Node. */
export function waitQuietly(settled: Promise<unknown>): void {
  const done = (): void => void pending--;
  settled.then(done, done);
  [pause, since] = [SHORTEST, performance.now()];
  pending++;
  if (resting) return;
  resting = true;
  setImmediate(rest);
}

function rest(): void {
  if (pending === 0) {
    resting = false;
    return;
  }
  if (performance.now() - since > BRISK) {
    Atomics.wait(cell, 0, 0, pause);
    pause = Math.min(LONGEST, pause * 1.2);
  }
  setImmediate(rest);
}
