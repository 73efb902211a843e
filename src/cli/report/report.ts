import { formatDuration } from "../format.ts";
import { gateChart, lossChart } from "./chart.ts";
import { keyFigures, measureTable, runFacts } from "./figures.ts";
import { COLUMN_LABELS } from "./labels.ts";
import type { Markup } from "./markup.ts";
import { markup } from "./markup.ts";
import { htmlPage } from "./page.ts";
import { evolutionStrips, pictureGrid } from "./pictures.ts";
import type { ReportData } from "./types.ts";

/**
 * The run's report as one HTML page that needs no network, script or further file: pictures, measures, loss and
 * gate curves, facts, and how to repeat the run. Every text of `data` is escaped; methods and parts that the run
 * does not have are left out, the methods by name.
 */
export function renderReport(data: ReportData): string {
  const { summary } = data;
  const body = markup`<header>
<p class="over">DEFT · task ${summary.task} · computed on ${summary.adapter.name}</p>
<h1>${data.title}</h1>
<p class="lead">Each picture was ${data.degradation}. DEFT restored it: a picture model, left as it is, knows what such pictures look like, and a small network, trained beside it for ${formatDuration(summary.seconds.train)}, steers it to a picture that fits what was left.</p>
${keyFigures(data)}
</header>
<main>
<section aria-labelledby="pictures"><h2 id="pictures">Pictures</h2>
${pictureGrid(data.grid, COLUMN_LABELS)}
<p class="note">Held out: the h-transform saw none of these pictures while it learned.${data.grid.some(({ psnr }) => psnr) ? " The figure under a picture is its PSNR." : undefined}</p></section>
<section aria-labelledby="measures"><h2 id="measures">Measures</h2>
${measureTable(summary.metrics, data.evaluatedPictures)}</section>
<section class="charts">
<figure><h2>Loss</h2>${lossChart(data.loss)}<figcaption><span class="swatch raw"></span> each step recorded, <span class="swatch"></span> smoothed; logarithmic. It scatters since each step draws other pictures and other noise.</figcaption></figure>
<figure><h2>Gate</h2>${gateChart(data.gate)}<figcaption><span class="swatch"></span> s(t): how strongly the misfit to the measurement steers the picture at time step t.</figcaption></figure>
</section>
${data.evolution.length === 0 ? undefined : evolution(data)}
<section aria-labelledby="run"><h2 id="run">The run</h2>
${runFacts(data)}
<h3>To repeat it</h3>
<pre><code>${data.command}</code></pre>
<details><summary>Configuration</summary><pre><code>${data.config}</code></pre></details></section>
</main>`;
  return htmlPage(data.title, body);
}

function evolution(data: ReportData): Markup {
  return markup`<section aria-labelledby="evolution"><h2 id="evolution">From noise to picture</h2>
${evolutionStrips(data.evolution)}
<p class="note">What DEFT takes the picture to be, step by step, from the first guess to the last.</p></section>`;
}
