import { markup } from "./markup.ts";
import type { Markup } from "./markup.ts";
import type { GridRow, ReportData } from "./types.ts";

/** Pictures below this side are shown with hard pixels: smoothing would hide what is compared. */
const HARD_PIXEL_SIDE = 160;

/** The picture grid: a row an image, a column a method with its head; a column that no row has is left out. */
export function pictureGrid<C extends string>(
  rows: readonly GridRow<C>[],
  heads: Readonly<Record<C, string>>,
): Markup {
  const columns = (Object.keys(heads) as C[]).filter((column) =>
    rows.some(({ pictures }) => pictures[column] !== undefined),
  );
  if (columns.length === 0) return markup`<p class="empty">No picture was restored.</p>`;
  // The roles repeat what the elements say, since browsers drop table semantics once CSS lays a row out as a grid.
  return markup`<table class="grid" role="table">
<thead role="rowgroup"><tr role="row"><td role="cell"></td>${columns.map((column) => markup`<th scope="col" role="columnheader">${heads[column]}</th>`)}</tr></thead>
<tbody role="rowgroup">${rows.map((row) => gridRow(row, columns, heads))}</tbody>
</table>`;
}

function gridRow<C extends string>(
  row: GridRow<C>,
  columns: readonly C[],
  heads: Readonly<Record<C, string>>,
): Markup {
  const cells = columns.map((column) => {
    const png = row.pictures[column];
    const psnr = row.psnr?.[column];
    const figure = psnr !== undefined && Number.isFinite(psnr) ? `${psnr.toFixed(1)} dB` : undefined;
    return markup`<td role="cell"><span class="cell-label" aria-hidden="true">${heads[column]}</span>${
      png === undefined
        ? markup`<span class="missing">–</span>`
        : picture(png, `${row.label}: ${heads[column]}`)
    }${figure === undefined ? undefined : markup`<span class="figure">${figure}</span>`}</td>`;
  });
  return markup`<tr role="row"><th scope="row" role="rowheader">${row.label}</th>${cells}</tr>
`;
}

/** Strips of x̂0 from noise to the finished picture, one below the other. */
export function evolutionStrips(strips: ReportData["evolution"]): Markup {
  return markup`<div class="strips">${strips.map(
    ({ label, png }) =>
      markup`<figure>${picture(png, `${label}: from noise on the left to the finished picture on the right`)}<figcaption>${label}</figcaption></figure>
`,
  )}</div>`;
}

function picture(png: string, alt: string): Markup {
  const size = pngSize(png);
  const hard = size !== undefined && size.height < HARD_PIXEL_SIDE;
  const sizes = size && markup` width="${size.width}" height="${size.height}"`;
  return markup`<img${hard ? markup` class="hard"` : undefined}${sizes} alt="${alt}" src="data:image/png;base64,${png}">`;
}

/** Width and height as the header of a PNG file states them, so that the page does not move while it loads. */
function pngSize(base64: string): { width: number; height: number } | undefined {
  const head = Buffer.from(base64.slice(0, 32), "base64");
  if (head.length < 24 || head.toString("latin1", 12, 16) !== "IHDR") return undefined;
  return { width: head.readUInt32BE(16), height: head.readUInt32BE(20) };
}
