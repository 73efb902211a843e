import { describe, expect, it } from "vitest";
import { renderReport } from "../../src/cli/report/report.ts";
import { linearScale, logScale, tickLabel } from "../../src/cli/report/scale.ts";
import { smooth, thin } from "../../src/cli/report/series.ts";
import type { ReportData } from "../../src/cli/report/types.ts";

/** A PNG file's first 24 bytes are all that the report reads. */
function png(width: number, height: number): string {
  const head = Buffer.alloc(24);
  head.write("\u0089PNG\r\n\u001a\n", "latin1");
  head.write("IHDR", 12, "latin1");
  head.writeUInt32BE(width, 16);
  head.writeUInt32BE(height, 20);
  return head.toString("base64");
}

function data(): ReportData {
  const scores = (psnr: number, ssim: number, consistency: number) => ({ psnr, ssim, consistency });
  return {
    title: "4× super-resolution",
    degradation: "shrunk to a quarter of its side",
    evaluatedPictures: 16,
    summary: {
      task: "sr4",
      adapter: {
        kind: "swiftshader",
        name: "SwiftShader Device",
        line: "adapter: SwiftShader Device: no other was found",
      },
      parameters: { prior: 3_512_067, htransform: 312_451 },
      metrics: {
        pinv: scores(19.64, 0.567, 100),
        bicubic: scores(20.871, 0.6412, 34.3),
        prior: scores(21.77, 0.566, 34.4),
        deft: scores(20.3, 0.61, 38.25),
        deft_mean4: scores(22.754, 0.6789, 39.1),
      },
      seconds: { train: 118.3, sample: 84.7, total: 231 },
      steps: 400,
      network_calls: 4812,
      gpu_peak_bytes: 3 * 2 ** 20,
      measures_left_out: {},
      htransform_sha256: "9f86d081",
    },
    grid: [
      {
        label: "castle",
        pictures: { original: png(32, 32), measurement: png(8, 8), deft: png(256, 256) },
        psnr: { deft: 20.26 },
      },
    ],
    loss: Array.from({ length: 50 }, (_, i) => ({ step: i + 1, loss: 500 / (i + 1) })),
    gate: Array.from({ length: 10 }, (_, i) => ({ t: 100 * i, s: 0.001 * i })),
    evolution: [{ label: "castle", png: png(320, 32) }],
    batchSize: 8,
    imagesPerSecond: 31.24,
    seed: 1234,
    command: "node dist/deft.js train algo.deg=sr4",
    config: "algo:\n  deg: sr4\n",
  };
}

/** Throws unless every element is closed in its order and every attribute is quoted; gives the names met. */
function parse(html: string): string[] {
  const open: string[] = [];
  const names: string[] = [];
  const empty = new Set(["meta", "img"]);
  const body = html.replace(/^<!doctype html>/, "").replace(/<style>[\s\S]*?<\/style>/, "");
  for (const [tag, slash, name, attributes, selfClosed] of body.matchAll(
    /<(\/?)([a-zA-Z0-9]+)([^<>]*?)(\/?)>/g,
  )) {
    if (slash) {
      expect(open.pop(), tag).toBe(name);
      continue;
    }
    names.push(name!);
    expect(attributes, tag).toMatch(/^(\s+[a-zA-Z0-9-]+="[^"<>]*")*\s*$/);
    if (!selfClosed && !empty.has(name!)) open.push(name!);
  }
  expect(open).toEqual([]);
  expect(body.replace(/<\/?[a-zA-Z][^<>]*>/g, "")).not.toMatch(/[<>]/);
  return names;
}

/** The words of the page without markup and with single spaces. */
const words = (html: string) =>
  html
    .replace(/<style>[\s\S]*?<\/style>/, "")
    .replace(/<[^>]*>/g, " ")
    .replace(/[\s\u00a0\u202f]+/g, " ");

describe("report", () => {
  it("is one well-formed page that loads nothing from outside", () => {
    const html = renderReport(data());
    const names = parse(html);
    expect(names).not.toContain("script");
    expect(names).not.toContain("link");
    expect(html).not.toMatch(/https?:|url\(|@import|<[^>]* on[a-z]+=/i);
    for (const [, source] of html.matchAll(/src="([^"]*)"/g))
      expect(source).toMatch(/^data:image\/png;base64,/);
    expect(html).toContain("prefers-color-scheme: dark");
    expect(html).toContain('name="viewport"');
    expect(html).toContain('<html lang="en">');
  });

  it("shows the measures, the share, the run and how to repeat it", () => {
    const text = words(renderReport(data()));
    for (const wanted of [
      "DEFT, mean of four the average of four samples 22.75 0.679 39.1",
      "DEFT, one sample drawn by the prior and the h-transform 20.30 0.610 38.3",
      "3 512 067 parameters",
      "312 451 parameters (8.9 %)",
      "400 steps of 8 pictures",
      "31.2 images/s",
      "1 min 58 s",
      "1 min 25 s",
      "3 min 51 s",
      "4 812",
      "3.00 MiB",
      "1234",
      "node dist/deft.js train algo.deg=sr4",
      "deg: sr4",
      "Adapter SwiftShader Device: no other was found",
      "mean of four against A†y +3.1 dB",
    ]) {
      expect(text).toContain(wanted);
    }
    expect(text).not.toContain("Left out, not measured");
    expect(text).toContain(
      "Not measured, with what they need: LPIPS (metrics.lpips_path and originals), FID (metrics.inception_path and two pictures), KID",
    );
    expect(renderReport(data())).not.toContain('scope="col">LPIPS');
  });

  it("says so where the mean of the samples is below what needs no network", () => {
    const note = (change: (metrics: ReportData["summary"]["metrics"]) => void): string => {
      const some = data();
      change(some.summary.metrics);
      return (
        /The mean of four DEFT samples is [^.]*\.\d* dB below \S+/.exec(words(renderReport(some)))?.[0] ?? ""
      );
    };
    expect(note(() => {})).toBe("");
    expect(note(({ deft_mean4: mean }) => (mean!.psnr = 20.571))).toBe(
      "The mean of four DEFT samples is 0.30 dB below bicubic",
    );
    expect(note(({ pinv }) => (pinv!.psnr = 23))).toBe("The mean of four DEFT samples is 0.25 dB below A†y");
    expect(note((metrics) => delete metrics.deft_mean4)).toBe("");
  });

  it("has columns for what was measured with weights, the best of each bold", () => {
    const some = data();
    const { deft, prior } = some.summary.metrics;
    deft!.lpips = 0.1234;
    prior!.lpips = 0.4;
    Object.assign(deft!, { fid: 20, kid: -1.5, inception_score: 3 });
    Object.assign(prior!, { fid: 30, kid: 2, inception_score: 4 });
    const html = renderReport(some);
    expect(words(html)).toContain("LPIPS");
    expect(words(html)).toContain(
      "Not measured, with what they need: Top-1 (classifier.ckpt_path and classes).",
    );
    expect([...html.matchAll(/<strong>(.*?)<\/strong>/g)].map((m) => m[1])).toEqual([
      "4.00",
      "0.123",
      "20.0",
      "-1.50",
      "22.75",
      "0.679",
    ]);
    expect(html).toContain("<td>0.400</td>");
    expect(html).toContain("<td>–</td>");
  });

  it("marks the best PSNR and SSIM only", () => {
    const bold = [...renderReport(data()).matchAll(/<strong>(.*?)<\/strong>/g)].map((m) => m[1]);
    expect(bold).toEqual(["22.75", "0.679"]);
  });

  it("leaves methods out by name, in the table and in the grid", () => {
    const some = data();
    delete some.summary.metrics.bicubic;
    delete some.summary.metrics.prior;
    const text = words(renderReport(some));
    expect(text).toContain("Left out, not measured for this task: Bicubic; Prior without learning.");
    expect(text).not.toContain("the usual smooth enlargement");
    const html = renderReport(some);
    const heads = [...html.matchAll(/<th scope="col" role="columnheader">(.*?)<\/th>/g)].map((m) => m[1]);
    expect(heads).toEqual(["Original", "Measurement y", "One DEFT sample"]);
  });

  it("is whole without any picture, curve or measure", () => {
    const bare: ReportData = { ...data(), grid: [], loss: [], gate: [], evolution: [] };
    bare.summary.metrics = {};
    const html = renderReport(bare);
    parse(html);
    const text = words(html);
    expect(text).toContain("No picture was restored.");
    expect(text).toContain("No loss was recorded.");
    expect(text).toContain("No gate was recorded.");
    expect(text).not.toMatch(/NaN|Infinity|undefined|From noise/);
  });

  it("survives numbers that are not finite, one point and equal values", () => {
    const odd: ReportData = {
      ...data(),
      loss: [
        { step: 1, loss: NaN },
        { step: 2, loss: 7 },
        { step: 3, loss: 0 },
      ],
      gate: [{ t: 0, s: 0 }],
    };
    odd.summary.metrics = { pinv: { psnr: NaN, ssim: NaN, consistency: Infinity } };
    const html = renderReport(odd);
    parse(html);
    expect(html).not.toMatch(/NaN|Infinity/);
    expect(html).toMatch(/<path class="raw" d="M[\d.]+ [\d.]+h0"/);
  });

  it("escapes every text", () => {
    const evil = `"'><script>alert(1)</script>&`;
    const hostile = data();
    const { summary } = hostile;
    summary.task = summary.htransform_sha256 = evil;
    summary.adapter = { kind: evil, name: evil, line: evil };
    const all: ReportData = {
      ...hostile,
      title: evil,
      degradation: evil,
      command: evil,
      config: evil,
      grid: [{ label: evil, pictures: { original: evil, deft: png(4, 4) } }],
      evolution: [{ label: evil, png: evil }],
    };
    const html = renderReport(all);
    expect(parse(html)).not.toContain("script");
    expect(html).not.toContain("<script");
    expect(html).toContain("&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;");
  });

  it("describes every picture and chart for who cannot see it", () => {
    const html = renderReport(data());
    const images = [...html.matchAll(/<img [^>]*>/g)].map((m) => m[0]);
    expect(images).toHaveLength(4);
    for (const image of images) expect(image).toMatch(/ alt="castle: /);
    expect(images[0]).toContain('class="hard" width="32" height="32"');
    expect(images[2]).not.toContain("hard");
    const charts = [...html.matchAll(/<svg [^>]*aria-labelledby="(\S+) (\S+)">/g)];
    expect(charts).toHaveLength(2);
    for (const [, title, text] of charts) {
      expect(html).toContain(`<title id="${title}">`);
      expect(html).toContain(`<desc id="${text}">`);
    }
  });

  it("draws larger losses higher, on a logarithmic axis", () => {
    const html = renderReport({
      ...data(),
      loss: [1000, 100, 10].map((loss, i) => ({ step: i, loss })),
    });
    const path = /<path class="raw" d="([^"]*)"/.exec(html)![1]!;
    const tops = [...path.matchAll(/ ([\d.]+)/g)].map((m) => Number(m[1]));
    expect(tops[0]!).toBeLessThan(tops[1]!);
    expect(tops[1]! - tops[0]!).toBeCloseTo(tops[2]! - tops[1]!, 0);
  });
});

describe("axes and curves", () => {
  it("puts linear ticks at whole steps inside the axis", () => {
    const { ticks, position } = linearScale(0, 0.57);
    expect(ticks).toEqual([0, 0.2, 0.4, 0.6]);
    expect(position(0.3)).toBeCloseTo(0.5, 12);
    expect(linearScale(1, 400, { round: false }).ticks).toEqual([100, 200, 300, 400]);
    expect(linearScale(3, 3).position(3)).toBe(0);
  });

  it("puts logarithmic ticks at 1, 2, 5, at decades, or at whole steps, by the range", () => {
    expect(logScale(45, 1500).ticks).toEqual([50, 100, 200, 500, 1000]);
    expect(logScale(1, 1e5).ticks).toEqual([1, 10, 100, 1000, 1e4, 1e5]);
    expect(logScale(101, 109).ticks.length).toBeGreaterThanOrEqual(3);
    expect(logScale(10, 1000).position(100)).toBeCloseTo(0.5, 12);
  });

  it("labels ticks shortly", () => {
    expect([0, 0.30000000000000004, 1500, 2e7, 1e-5].map(tickLabel)).toEqual([
      "0",
      "0.3",
      "1500",
      "2e7",
      "1e-5",
    ]);
  });

  it("smooths without a start at zero", () => {
    const points = [4, 4, 4, 10].map((y, x) => ({ x, y }));
    const mean = smooth(points, 2).map(({ y }) => y);
    expect(mean.slice(0, 3)).toEqual([4, 4, 4]);
    // β = ½: (10 + 2 + 1 + ½) / (1 + ½ + ¼ + ⅛).
    expect(mean[3]).toBeCloseTo(13.5 / 1.875, 12);
  });

  it("thins a long curve and keeps its spikes in order", () => {
    const points = Array.from({ length: 10_000 }, (_, x) => ({
      x,
      y: x === 5003 ? 99 : x === 5004 ? -99 : 0,
    }));
    const few = thin(points, 200);
    expect(few.length).toBeLessThanOrEqual(200);
    expect(few.filter(({ y }) => y !== 0)).toEqual([
      { x: 5003, y: 99 },
      { x: 5004, y: -99 },
    ]);
    expect(few.every((p, i) => i === 0 || few[i - 1]!.x < p.x)).toBe(true);
  });
});
