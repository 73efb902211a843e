// The page of a comparison: table, pictures side by side, where the answer is a guess.
import type { CellTable } from "../compare-table.ts";
import { markup, type Markup } from "./markup.ts";
import { htmlPage } from "./page.ts";
import { pictureGrid } from "./pictures.ts";
import type { GridRow } from "./types.ts";

/** Everything the page shows. Texts are plain; the page escapes them. */
export interface ComparisonPage {
  readonly title: string;
  readonly adapter: string;
  /** What is the same for all methods. */
  readonly lead: string;
  readonly table: CellTable;
  readonly notes: readonly string[];
  readonly grids: readonly {
    readonly title: string;
    readonly note: string;
    readonly heads: Readonly<Record<string, string>>;
    readonly rows: readonly GridRow<string>[];
  }[];
  readonly command: string;
  /** The resolved configuration as YAML. */
  readonly config: string;
}

/** The comparison as one HTML page that needs no network, script or further file. Every text is escaped. */
export function renderComparison(page: ComparisonPage): string {
  return htmlPage(
    page.title,
    markup`<header>
<p class="over">DEFT · computed on ${page.adapter}</p>
<h1>${page.title}</h1>
<p class="lead">${page.lead}</p>
</header>
<main>
<section aria-labelledby="measures"><h2 id="measures">Measures</h2>
${cellTable(page.table)}
${page.notes.map(
  (note) => markup`<p class="note">${note}</p>
`,
)}</section>
${page.grids.map(
  ({ title, note, heads, rows }, i) =>
    markup`<section aria-labelledby="pictures-${i}"><h2 id="pictures-${i}">${title}</h2>
${pictureGrid(rows, heads)}
<p class="note">${note}</p></section>
`,
)}<section aria-labelledby="run"><h2 id="run">To repeat it</h2>
<pre><code>${page.command}</code></pre>
<details><summary>Configuration</summary><pre><code>${page.config}</code></pre></details></section>
</main>`,
  );
}

function cellTable({ heads, rows }: CellTable): Markup {
  const body = rows.map(
    (row) => markup`<tr>${row.map(({ text, isBest }, c) =>
      c === 0
        ? markup`<th scope="row">${text}</th>`
        : markup`<td>${isBest ? markup`<strong>${text}</strong>` : text}</td>`,
    )}</tr>
`,
  );
  return markup`<table class="measures wide"><thead><tr>${heads.map((head) => markup`<th scope="col">${head}</th>`)}</tr></thead><tbody>${body}</tbody></table>`;
}
