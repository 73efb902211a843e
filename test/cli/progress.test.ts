import { describe, expect, it } from "vitest";
import { createProgress } from "../../src/cli/progress.ts";

/** A stream that keeps what is written, and a clock that the test moves. */
function stage(terminal: { columns: number } | undefined) {
  const writes: string[] = [];
  let ms = 0;
  const stream = {
    isTTY: terminal !== undefined,
    columns: terminal?.columns,
    write: (text: string) => writes.push(text),
  };
  return { writes, options: { stream, now: () => ms }, wait: (by: number) => (ms += by) };
}

/** What a terminal of one line shows after all writes, with the finished lines above it. */
function screen(writes: readonly string[]): string[] {
  const lines = [""];
  for (const token of writes.join("").split(/(\r|\n|\u001b\[K)/)) {
    if (token === "\n") lines.push("");
    else if (token === "\u001b[K") lines[lines.length - 1] = "";
    else if (token !== "\r") lines[lines.length - 1] += token;
  }
  return lines;
}

describe("progress on a terminal", () => {
  it("redraws one line at most ten times a second and within the width", () => {
    const { writes, options, wait } = stage({ columns: 90 });
    const progress = createProgress("train", options);
    for (let step = 0; step <= 1000; step++) {
      progress.update({ step, total: 2000, loss: 123.456, imagesPerSecond: 31.2 });
      wait(5);
    }
    // 1001 updates over 5 s: 50 draws and the first.
    expect(writes.length).toBeGreaterThan(45);
    expect(writes.length).toBeLessThanOrEqual(51);
    for (const write of writes) {
      expect(write).not.toContain("\n");
      expect(screen([write])[0]!.length).toBeLessThan(90);
    }
    expect(screen(writes)).toHaveLength(1);
    expect(screen(writes)[0]).toMatch(
      /^train ━+┄+ 50% 1000\/2000 · loss 123\.5 · 31\.2 images\/s · 0:05 left$/,
    );
  });

  it("leaves one plain line when done, with the last figures even if they were not drawn", () => {
    const { writes, options, wait } = stage({ columns: 100 });
    const progress = createProgress("sample", options);
    progress.update({ step: 0, total: 10 });
    wait(20);
    progress.update({ step: 10, total: 10 });
    wait(61_000);
    progress.done();
    progress.done();
    progress.update({ step: 3, total: 10 });
    expect(screen(writes)).toEqual(["sample 100% 10/10 · 1:01 in all", ""]);
  });

  it("keeps printed lines above the bar", () => {
    const { writes, options } = stage({ columns: 80 });
    const progress = createProgress("train", options);
    progress.update({ step: 1, total: 4 });
    progress.print("saved step 1");
    const lines = screen(writes);
    expect(lines[0]).toBe("saved step 1");
    expect(lines[1]).toMatch(/^train ━+┄+ 25% 1\/4 · – left$/);
  });

  it("drops the bar and cuts the text on a narrow terminal", () => {
    const { writes, options } = stage({ columns: 20 });
    createProgress("train", options).update({ step: 1, total: 4, loss: 1, imagesPerSecond: 2 });
    expect(screen(writes)[0]).toBe("train 25% 1/4 · los");
  });

  it("follows a change of speed in the time left", () => {
    const { writes, options, wait } = stage({ columns: 100 });
    const progress = createProgress("train", options);
    let step = 0;
    progress.update({ step, total: 1000 });
    // A slow first step, as when kernels are compiled, then ten steps a second.
    wait(30_000);
    progress.update({ step: ++step, total: 1000 });
    for (; step < 500;) {
      wait(100);
      progress.update({ step: ++step, total: 1000 });
    }
    expect(screen(writes)[0]).toMatch(/ 0:50 left$/);
  });
});

describe("progress elsewhere", () => {
  it("prints plain lines: the first, about one in five seconds, the last", () => {
    const { writes, options, wait } = stage(undefined);
    const progress = createProgress("train", options);
    for (let step = 0; step <= 120; step++) {
      progress.update({ step, total: 120, loss: Number.NaN });
      wait(100);
    }
    progress.done();
    expect(writes.map((w) => w.replace(/ · .*/s, ""))).toEqual([
      "train 0% 0/120",
      "train 41% 50/120",
      "train 83% 100/120",
      "train 100% 120/120",
    ]);
    expect(writes.every((w) => w.endsWith("\n") && !/[\r\u001b━]/.test(w))).toBe(true);
    expect(writes[1]).toContain("loss NaN");
  });

  it("says nothing of a loop that never began", () => {
    const { writes, options } = stage(undefined);
    createProgress("train", options).done();
    expect(writes).toEqual([]);
  });
});
